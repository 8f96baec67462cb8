// Owns: reading from environment and stream what a terminal can show. Must not: write anything.
import type { Look } from './style.ts'

/** What is asked of a stream; `columns` is only there on a terminal. */
export interface Output {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}
type Environment = Readonly<Record<string, string | undefined>>

/** Lines that go into a file or a pipe are cut here: long enough for tables, bounded for logs. */
const COLUMNS_WITHOUT_TERMINAL = 100

/**
 * Colour: NO_COLOR (not empty) turns it off, FORCE_COLOR (not 0 or false) on; else a terminal that is not `dumb` has it.
 * ASCII: the locale is not UTF-8 or widens the glyphs (Chinese, Japanese, Korean), or TERM=linux.
 */
export function lookOf(output: Output, env: Environment = process.env): Look {
  return { columns: output.columns || COLUMNS_WITHOUT_TERMINAL, color: hasColor(output, env), ascii: isAscii(env) }
}

function hasColor(output: Output, env: Environment): boolean {
  if (env['NO_COLOR']) return false
  const forced = env['FORCE_COLOR']
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return output.isTTY === true && env['TERM'] !== 'dumb'
}

function isAscii(env: Environment): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  return env['TERM'] === 'linux' || !/utf-?8/i.test(locale) || /^(?:zh|ja|ko)/i.test(locale)
}

/** Whether a live view can be drawn: a terminal that moves its cursor. */
export const isInteractive = (output: Output, env: Environment = process.env): boolean =>
  output.isTTY === true && env['TERM'] !== 'dumb'
