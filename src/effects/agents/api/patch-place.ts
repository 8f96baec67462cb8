// Owns: where the hunks of one file belong and what the file is afterwards. Line numbers are hints only: a hunk belongs where
// its lines are, exactly or but for white space, and only if that is one place. Pure.
import type { Hunk, PatchLine } from './patch-read.ts'
import { PatchProblem } from './patch-problem.ts'

interface FileLine {
  readonly text: string
  /** `\n`, `\r\n`, or empty at the end of a file. */
  readonly end: string
}

interface Found {
  /** Index of the first line that the hunk covers. */
  readonly start: number
  /** The hunk's lines as they are to be taken there. */
  readonly lines: readonly PatchLine[]
  readonly loose: boolean
}

export interface Patched {
  readonly text: string
  /** What was read differently than it was written. */
  readonly notes: readonly string[]
}

/** The text with all hunks in place. Throws a PatchProblem when one of them has no place, or several. */
export function applyHunks(text: string, hunks: readonly Hunk[]): Patched {
  const file = split(text)
  const notes: string[] = []
  const placed: { hunk: Hunk; found: Found; end: number }[] = []
  let after = 0
  let offset = 0
  for (const hunk of hunks) {
    if (hunk.lines.every((line) => line.op === ' ')) continue
    const found = place(file, hunk, after, offset)
    const old = found.lines.filter((line) => line.op !== '+').length
    if (found.loose)
      notes.push(`the hunk at line ${hunk.at} was placed at line ${found.start + 1} by its text but for white space`)
    else if (hunk.near !== undefined && found.start + 1 !== hunk.near + offset && old > 0)
      offset = found.start + 1 - hunk.near
    after = found.start + old
    placed.push({ hunk, found, end: after })
  }
  placed.sort((a, b) => a.found.start - b.found.start)
  for (const [index, { hunk, found }] of placed.entries()) {
    const before = placed[index - 1]
    if (before && found.start < before.end)
      throw new PatchProblem(`it covers the same lines as the hunk at line ${before.hunk.at}`, hunk.at, quote(hunk))
  }
  return {
    text: assemble(
      file,
      placed.map(({ found }) => found),
    ),
    notes,
  }
}

function place(file: readonly FileLine[], hunk: Hunk, after: number, offset: number): Found {
  const old = hunk.lines.filter((line) => line.op !== '+')
  if (old.length === 0) return { start: insertion(file, hunk), lines: hunk.lines, loose: false }
  for (const { name, lines, same } of readings(hunk)) {
    const wanted = lines.filter((line) => line.op !== '+').map((line) => line.text)
    const starts = matches(file, wanted, same).filter((start) => !hunk.atEnd || start + wanted.length === file.length)
    const start = choose(file, hunk, starts, { after, offset })
    if (start === undefined) continue
    const loose = name === 'blank'
    const shifted = loose ? reindented(file, lines, start) : lines
    if (!shifted)
      throw new PatchProblem(
        `the lines are there (from line ${start + 1} on), but indented differently here and there: copy them exactly`,
        hunk.at,
        quote(hunk),
      )
    return { start, lines: shifted, loose }
  }
  throw notFound(file, hunk, old)
}

interface Reading {
  readonly name: 'exact' | 'blank'
  readonly lines: readonly PatchLine[]
  readonly same: (a: string, b: string) => boolean
}

/** How the lines may be meant, the strictest first. */
function* readings({ lines }: Hunk): Generator<Reading> {
  const exact = (a: string, b: string): boolean => a === b
  const end = (a: string, b: string): boolean => a.trimEnd() === b.trimEnd()
  // The blank that marks an unchanged line was forgotten: its first character is its own.
  const unmarked = lines.map((line) => (line.op === ' ' ? { ...line, text: line.raw } : line))
  yield { name: 'exact', lines, same: exact }
  yield { name: 'exact', lines: unmarked, same: exact }
  yield { name: 'exact', lines, same: end }
  yield { name: 'exact', lines: unmarked, same: end }
  yield { name: 'blank', lines, same: (a, b) => a.trim() === b.trim() }
}

function matches(file: readonly FileLine[], wanted: readonly string[], same: Reading['same']): number[] {
  const found: number[] = []
  for (let start = 0; start + wanted.length <= file.length; start++)
    if (wanted.every((text, index) => same(file[start + index]!.text, text))) found.push(start)
  return found
}

/** The one that is meant; undefined when there is none. Throws when it cannot be told. */
function choose(
  file: readonly FileLine[],
  hunk: Hunk,
  starts: readonly number[],
  { after, offset }: { readonly after: number; readonly offset: number },
): number | undefined {
  if (starts.length <= 1) return starts[0]
  if (hunk.anchor !== undefined) {
    const anchor = anchorLine(file, hunk.anchor)
    const below = anchor === undefined ? [] : starts.filter((start) => start >= anchor)
    if (below.length > 0) return below[0]
  }
  // Where the header says, as the hunks before were off.
  const stated = starts.filter((start) => hunk.near !== undefined && start === hunk.near - 1 + offset)
  if (stated.length === 1) return stated[0]
  // Hunks come in the order of the file.
  const later = starts.filter((start) => start >= after)
  if (after > 0 && later.length === 1) return later[0]
  const places = starts.slice(0, 5).map((start) => start + 1)
  throw new PatchProblem(
    `its lines are there ${starts.length} times (from lines ${places.join(', ')} on): add unchanged lines around them until it is one place`,
    hunk.at,
    quote(hunk),
  )
}

/** The line that `@@ text` names, if there is one such line. */
function anchorLine(file: readonly FileLine[], anchor: string): number | undefined {
  const all = file.flatMap((line, index) => (line.text.trim() === anchor ? [index] : []))
  const some = all.length > 0 ? all : file.flatMap((line, index) => (line.text.includes(anchor) ? [index] : []))
  return some.length === 1 ? some[0] : undefined
}

/** A hunk that only adds says nowhere where, but for an empty file, the end, or a line it names. */
function insertion(file: readonly FileLine[], hunk: Hunk): number {
  if (hunk.atEnd || file.length === 0) return file.length
  const anchor = hunk.anchor === undefined ? undefined : anchorLine(file, hunk.anchor)
  if (anchor !== undefined) return anchor + 1
  throw new PatchProblem('it only adds lines: add an unchanged line before or after them', hunk.at, quote(hunk))
}

/** The lines with the file's indentation, if all of them differ from it in the same way. */
function reindented(file: readonly FileLine[], lines: readonly PatchLine[], start: number): PatchLine[] | undefined {
  let shift: { readonly add: string; readonly take: string } | undefined
  let index = start
  for (const line of lines) {
    if (line.op === '+') continue
    const real = file[index++]!.text
    if (real.trim() === '') continue
    const [there, here] = [indentOf(real), indentOf(line.text)]
    const next = there.endsWith(here)
      ? { add: there.slice(0, there.length - here.length), take: '' }
      : here.endsWith(there)
        ? { add: '', take: here.slice(0, here.length - there.length) }
        : undefined
    if (!next || (shift && (shift.add !== next.add || shift.take !== next.take))) return undefined
    shift = next
  }
  const { add = '', take = '' } = shift ?? {}
  const shifted: PatchLine[] = []
  for (const line of lines) {
    if (line.op !== '+' || line.text.trim() === '') shifted.push(line)
    else if (line.text.startsWith(take)) shifted.push({ ...line, text: add + line.text.slice(take.length) })
    else return undefined
  }
  return shifted
}

const indentOf = (text: string): string => /^[ \t]*/.exec(text)![0]

function notFound(file: readonly FileLine[], hunk: Hunk, old: readonly PatchLine[]): PatchProblem {
  const fresh = hunk.lines.filter((line) => line.op !== '-').map((line) => line.text)
  const applied = fresh.length > 0 && matches(file, fresh, (a, b) => a.trimEnd() === b.trimEnd()).length === 1
  if (applied && hunk.lines.some((line) => line.op === '-'))
    return new PatchProblem(
      'it seems to be applied already: the new lines are there, the old ones are not',
      hunk.at,
      quote(hunk),
    )
  const missing = old.find(
    (line) => line.text.trim() !== '' && !file.some((own) => own.text.trim() === line.text.trim()),
  )
  if (missing)
    return new PatchProblem('the file has no such line: read it and copy the lines exactly', missing.at, missing.raw)
  return new PatchProblem(
    'all of its lines are in the file, but not one after another like this: read it and copy the lines exactly',
    hunk.at,
    quote(hunk),
  )
}

const quote = (hunk: Hunk): string => hunk.lines.find((line) => line.op !== '+')?.raw ?? hunk.lines[0]?.raw ?? ''

function split(text: string): FileLine[] {
  const lines = [...text.matchAll(/([^\n]*?)(\r?\n|$)/g)].map((match) => ({ text: match[1]!, end: match[2]! }))
  while (lines.at(-1)?.text === '' && lines.at(-1)?.end === '') lines.pop()
  return lines
}

function assemble(file: readonly FileLine[], found: readonly Found[]): string {
  const usual = file.find((line) => line.end !== '')?.end ?? '\n'
  const ends = file.length === 0 || file.at(-1)!.end !== ''
  const out: FileLine[] = []
  let lastEnds = ends
  let index = 0
  for (const { start, lines } of found) {
    while (index < start) out.push(file[index++]!)
    for (const line of lines) {
      if (line.op === '+') out.push({ text: line.text, end: file[index - 1]?.end || usual })
      else if (line.op === ' ') out.push(file[index++]!)
      else index++
    }
    if (index === file.length) lastEnds = endsWithNewline(lines) ?? lastEnds
  }
  out.push(...file.slice(index))
  return out
    .map(({ text, end }, at) => text + (at < out.length - 1 ? end || usual : lastEnds ? end || usual : ''))
    .join('')
}

/** Whether the file ends with a newline, as far as the patch says. */
function endsWithNewline(lines: readonly PatchLine[]): boolean | undefined {
  const last = lines.findLast((line) => line.op !== '-')
  if (last?.noEnd) return false
  return lines.some((line) => line.op === '-' && line.noEnd) ? true : undefined
}
