// Owns: the canonical signature of a failure (DESIGN 6): equal for the same cause told with other numbers, ids, paths,
// times, key order or wrapping; different for different causes. The breaker and every "same failure again" use it.
import { hash64 } from './hash.ts'
import { LIMITS } from './limits.ts'
import { canonicalJson, logicalLines } from './logical-lines.ts'

/** Telling lines that count: the last ones. */
const TELLING_LINES = 60
/** A message longer than this is told by its beginning and its end. */
const MESSAGE_CHARS = 4_000

/** Names of temporary files, where upper case still tells a random part from a word. */
const TEMPORARY: readonly (readonly [RegExp, string])[] = [
  [/(\/(?:tmp|temp|T)\/[^\s"'`/:;,()]{0,80}?)[-._][A-Za-z0-9]{6,12}(?=[\s"'`/:;,()]|$)/gi, '$1<tmp>'],
  [/\btmp[._-]?(?=[A-Za-z0-9_]{6,16}\b)[A-Za-z0-9_]+/gi, '<tmp>'],
]

/** Order matters: what contains other patterns goes first. */
const NORMALISERS: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<id>'],
  [/\b(?=[a-z]*\d)[0-9a-hjkmnp-tv-z]{26}\b/g, '<id>'],
  [/\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:z| ?[+-]\d\d:?\d\d)?)?/g, '<n>'],
  [/\b\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?[ap]m)?\b/g, '<n>'],
  [/\b(?:[a-z]{1,16}:\/\/)(?:[^\s/"'`)\]}>:]{1,300})(?::\d+)?/g, '<host>'],
  [
    /(?:^|(?<=[\s"'`(=[{<,:|]))(?:[a-z]:)?(?:\.{1,2}|~)?[\\/](?:(?:[^\s"'`()[\]{}<>,;:|\\/]|<[a-z]+>)+[\\/])*((?:[^\s"'`()[\]{}<>,;:|\\/]|<[a-z]+>)*)/g,
    '<path>/$1',
  ],
  [/(?:^|(?<=[\s"'`(=[{<,:|]))(?:(?:[\w.@+-]|<[a-z]+>)+\/)+((?:[\w.@+-]|<[a-z]+>)+)/g, '<path>/$1'],
  [/\b(?:localhost|\d{1,3}(?:\.\d{1,3}){3})(?::\d+)?\b/g, '<host>'],
  [/\b0x[0-9a-f]+\b/g, '<n>'],
  [/\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b/g, '<id>'],
  [/\b(?:tmp|temp)[._-]?[a-z0-9_-]*\d[a-z0-9_-]*/g, '<tmp>'],
  [/\b\d+(?:[.,]\d+)*\s?(?:ns|µs|us|ms|s|sec|secs|seconds?|m|min|mins|minutes?|h|hours?|d|days?)\b/g, '<n>'],
  [/[+-]?\d+(?:[.,_]\d+)*/g, '<n>'],
]
/** A part of a word in which short runs of letters and numbers alternate: a random id. */
const RANDOM = /(?<![a-z0-9>])(?:[a-z]{0,3}<n>){2,}[a-z]{0,3}(?![a-z0-9<])/g

/** The text with its noise replaced: the same for every telling of one cause. */
function canonicalText(text: string): string {
  let line = canonicalJson(text)
  for (const [pattern, replacement] of TEMPORARY) line = line.replace(pattern, replacement)
  line = line.toLowerCase()
  for (const [pattern, replacement] of NORMALISERS) line = line.replace(pattern, replacement)
  return line
    .replace(RANDOM, '<id>')
    .replace(/(?:<(?:n|id)>[\s,;/x-]*)+<(?:n|id)>/g, '<n>')
    .replace(/\s+/g, ' ')
    .trim()
}

/**
 * Signature of a reason: 8 hex digits over code, message and the words of the telling lines of its output.
 * @param exit what tells apart as it is, not as noise: an exit code, a signal
 */
export function signatureOf(code: string, message: string, tail = '', exit = ''): string {
  const told =
    message.length <= MESSAGE_CHARS
      ? message
      : `${message.slice(0, MESSAGE_CHARS / 2)} ${message.slice(-MESSAGE_CHARS / 2)}`
  return hash64(
    [code, exit, canonicalText(logicalLines(told).join(' ')), ...tellingWords(tail.slice(-LIMITS.tailBytes))].join(
      '\n',
    ),
  ).slice(0, 8)
}

const TELLING =
  /error|fail|fatal|panic|exception|cannot|can't|unable|not found|no such|undefined|denied|refused|invalid|unexpected|missing|expected|assert|abort|limit|timed? ?out|traceback|✕|✗|×/i
const PROGRESS = /^\W*$|\b(?:passed|ok|info|debug)\b/i

/** Words of the lines that tell the cause, sorted and each once: reordered or repeated lines do not matter. */
function tellingWords(tail: string): string[] {
  const telling: string[] = []
  const rest: string[] = []
  for (const line of logicalLines(tail)) {
    if (!/\p{L}/u.test(line)) continue
    if (TELLING.test(line)) telling.push(line)
    else if (!PROGRESS.test(line)) rest.push(line)
  }
  const lines = telling.length > 0 ? new Set(telling.slice(-TELLING_LINES)) : rest.slice(-3)
  const words = new Set<string>()
  for (const line of lines) for (const word of wordsOf(line)) words.add(word)
  return [...words].sort()
}

/** Without what only stands for noise, and without the punctuation around words. */
function wordsOf(line: string): string[] {
  return canonicalText(line)
    .split(/[\s,;:"'`()[\]{}|=]+/)
    .map((word) => word.replace(/^[.!?*-]+|[.!?*-]+$/g, ''))
    .filter((word) => /[\p{L}\p{S}]/u.test(word.replace(/<[a-z]+>/g, '')))
}
