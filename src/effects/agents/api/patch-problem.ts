// Owns: what a model is told when its patch cannot be applied: what is wrong, where, and how the right one looks, in the
// form that it chose and with its own file.

export type PatchStyle = 'unified' | 'begin'

/** @param at line of the patch, from 1; 0 = none in particular */
export class PatchProblem extends Error {
  readonly at: number
  readonly quoted: string
  /** The file it is about. */
  path: string | undefined

  constructor(message: string, at = 0, quoted = '') {
    super(message)
    this.at = at
    this.quoted = quoted
  }
}

const QUOTED_CHARS = 200
/** Families that were taught the one form; the others know diffs best. */
const KNOWS_BEGIN = /gpt|codex|^o\d/i

export const preferredStyle = (model: string): PatchStyle => (KNOWS_BEGIN.test(model) ? 'begin' : 'unified')

/** The whole message. `lines` are the file's, to make the example from; empty when there is none. */
export function explain(problem: PatchProblem, style: PatchStyle, lines: readonly string[]): string {
  const where =
    problem.at > 0 ? ` (line ${problem.at} of the patch: ${JSON.stringify(problem.quoted.slice(0, QUOTED_CHARS))})` : ''
  const name = problem.path === undefined ? '' : `${problem.path}: `
  return `Nothing was changed. ${name}${problem.message}${where}.\nThe right form, for example:\n${example(style, problem.path ?? 'src/example.txt', lines)}`
}

function example(style: PatchStyle, path: string, lines: readonly string[]): string {
  const index = Math.max(
    0,
    lines.findIndex((line) => line.trim() !== ''),
  )
  const [first = 'an unchanged line', second = 'the old line'] = lines
    .slice(index, index + 2)
    .map((line) => line.slice(0, QUOTED_CHARS))
  const body = [` ${first}`, `-${second}`, '+the new line']
  return style === 'begin'
    ? ['*** Begin Patch', `*** Update File: ${path}`, '@@', ...body, '*** End Patch'].join('\n')
    : [`--- a/${path}`, `+++ b/${path}`, `@@ -${index + 1},2 +${index + 1},2 @@`, ...body].join('\n')
}
