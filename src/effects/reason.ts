// Owns: how effects write failure reasons: one bounded sentence, bounded details. What a code leads to is the core's.
import type { Stop } from '../core/commands.ts'
import type { FailureCode, FailureReport, FailureSource } from '../core/failure.ts'
import type { JsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'

/** A failure report whose message is one line of bounded length. Details that are undefined are left out. */
export function reason(
  code: FailureCode,
  message: string,
  source: FailureSource,
  details: { readonly [key: string]: JsonObject[string] | undefined } = {},
): FailureReport {
  const known = Object.entries(details).filter((entry): entry is [string, JsonObject[string]] => entry[1] !== undefined)
  return {
    code,
    message: shortened(oneLine(message), LIMITS.messageChars),
    source,
    ...(known.length > 0 ? { details: Object.fromEntries(known) } : {}),
  }
}

/** The reason of a step that the host told to end. */
export const stopReason = (stop: Stop, details: Parameters<typeof reason>[3] = {}, after = ''): FailureReport =>
  reason(
    stop.code,
    stop.message + after,
    stop.code === 'canceled' || stop.code === 'forced' ? 'user' : 'scheduler',
    details,
  )

const ANSI = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g

/** The text without colours and other control characters, white space collapsed. */
export const oneLine = (text: string): string =>
  text
    .replace(ANSI, '')
    .replace(/[\u0000-\u001f\u007f]+/g, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()

/** At most `length` characters; what was cut is shown by an ellipsis. Never half a surrogate pair. */
export const shortened = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1).replace(/[\uD800-\uDBFF]$/, '')}…`

/** The last part of the text, at most `bytes` long in UTF-8. */
export function lastBytes(text: string, bytes: number): string {
  if (text.length <= bytes && Buffer.byteLength(text) <= bytes) return text
  const tail = Buffer.from(text.slice(-bytes)).subarray(-bytes)
  let from = 0
  // Never begins inside a character.
  while (from < tail.length && (tail[from]! & 0xc0) === 0x80) from++
  return tail.subarray(from).toString('utf8')
}

const TELLING =
  /error|fail|fatal|panic|exception|cannot|can't|unable|not found|no such|denied|refused|invalid|unexpected|missing|assert|abort/i

/**
 * The line that most likely tells what went wrong: of stderr the last one that speaks of trouble, else the last; of
 * stdout only one that does, because what a step prints there may be the contents of a file, and messages go into traces.
 */
export function tellingLine(stderr: string, stdout: string): string | undefined {
  const said = linesOf(stderr)
  const line = said.findLast(speaksOfTrouble) ?? said.at(-1) ?? linesOf(stdout).findLast(speaksOfTrouble)
  return line === undefined ? undefined : shortened(line, 300)
}

const speaksOfTrouble = (line: string): boolean => TELLING.test(line)

/** The last lines that hold a letter or a digit. */
const linesOf = (output: string): string[] =>
  output
    .split(/\r\n|\r|\n/)
    .map(oneLine)
    .filter((line) => /[\p{L}\p{N}]/u.test(line))
    .slice(-20)

/** Message of an unknown thrown value. */
export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : String(error)
