// Owns: the canonical signature of a failure (DESIGN 6): equal for the same cause told with other numbers, ids, paths,
// times, key order or wrapping; different for different causes. The breaker and every "same failure again" use it.
import { asText } from './template.ts'
import { hash64 } from './hash.ts'
import { isJsonObject, type Json } from './json.ts'

/** Lines of the tail that tell: at most this many, error lines first. */
const TELLING_LINES = 12
const MAX_CHARS = 4_000

const ANSI = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g

/** Order matters: what contains other patterns goes first. */
const NORMALISERS: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<id>'],
  [/\b[0-9a-hjkmnp-tv-z]{26}\b/g, '<id>'],
  [/\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:z|[+-]\d\d:?\d\d)?)?/g, '<time>'],
  [/\b\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?[ap]m)?\b/g, '<time>'],
  [/\b(?:[a-z]+:\/\/)(?:[^\s/"'`)\]}>:]+)(?::\d+)?/g, '<host>'],
  [/(?:^|(?<=[\s"'`(=[{<,:|]))(?:[a-z]:)?(?:\.{1,2}|~)?[\\/](?:[^\s"'`()[\]{}<>,;:|\\/]+[\\/])*([^\s"'`()[\]{}<>,;:|\\/]*)/g, '<path>/$1'],
  [/(?:^|(?<=[\s"'`(=[{<,:|]))(?:[\w.@+-]+\/)+([\w.@+-]+)/g, '<path>/$1'],
  [/\b(?:localhost|\d{1,3}(?:\.\d{1,3}){3})(?::\d+)?\b/g, '<host>'],
  [/\b0x[0-9a-f]+\b/g, '<n>'],
  [/\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b/g, '<id>'],
  [/\b(?:tmp|temp)[._-]?[a-z0-9_-]*\d[a-z0-9_-]*/g, '<tmp>'],
  [/\b\d+(?:[.,]\d+)*\s?(?:ns|µs|us|ms|s|sec|secs|seconds?|m|min|mins|minutes?|h|hours?|d|days?)\b/g, '<duration>'],
  [/[+-]?\d+(?:[.,_]\d+)*/g, '<n>'],
]
/** A word in which letters and digits are mixed at random (temp names, container ids): both sides of a number change. */
const MIXED = /\b(?=[a-z0-9_-]*<n>[a-z0-9_-]*<n>)[a-z0-9_<>-]*<n>[a-z0-9_<>-]*/g

/** The text with its noise replaced: the same for every telling of one cause. */
export function canonicalText(text: string): string {
  let line = canonicalJson(text.replace(ANSI, '').replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, ' ')).toLowerCase()
  for (const [pattern, replacement] of NORMALISERS) line = line.replace(pattern, replacement)
  return line.replace(MIXED, '<id>').replace(/(?:<n>[\s,;/x-]*)+<n>/g, '<n>').replace(/\s+/g, ' ').trim()
}

/** Signature of a reason: 8 hex digits over code, message and the telling lines of its output. */
export function signatureOf(code: string, message: string, tail = ''): string {
  const lines = tellingLines(tail)
  return hash64([code, canonicalText(message), ...lines].join('\n').slice(0, MAX_CHARS)).slice(0, 8)
}

const TELLING = /error|fail|fatal|panic|exception|cannot|can't|unable|not found|no such|undefined|denied|refused|invalid|unexpected|missing|expected|assert|abort|limit|timed? ?out|traceback|✕|✗|×/i
const PROGRESS = /^\W*$|\b(?:passed|ok|info|debug)\b/i

/** Canonical lines that tell the cause, sorted and each once: reordered or repeated noise does not matter. */
function tellingLines(tail: string): string[] {
  const canonical = new Set<string>()
  const rest: string[] = []
  for (const line of joinJson(tail)) {
    const clean = canonicalText(line)
    if (!/[a-z]/.test(clean.replace(/<[a-z]+>/g, ''))) continue
    if (TELLING.test(line)) canonical.add(clean)
    else if (!PROGRESS.test(line)) rest.push(clean)
  }
  const lines = canonical.size > 0 ? [...canonical] : rest.slice(-3)
  return lines.sort().slice(0, TELLING_LINES)
}

/** Lines of the text; JSON that is spread over several lines counts as one. */
function joinJson(text: string): string[] {
  const lines: string[] = []
  let open: string[] = []
  for (const line of text.split(/\r\n|\r|\n/)) {
    if (open.length === 0 && !/^\s*[{[]\s*(?:"|$|[{[])/.test(line)) {
      lines.push(line)
      continue
    }
    open.push(line)
    const joined = open.join('\n')
    if (parseJson(joined) !== undefined) {
      lines.push(joined)
      open = []
    } else if (open.length > 200) {
      lines.push(...open)
      open = []
    }
  }
  return [...lines, ...open]
}

/** JSON inside the text is written with sorted keys, so that key order and layout do not matter. */
function canonicalJson(text: string): string {
  const start = text.search(/[{[]/)
  if (start < 0) return text
  for (let end = text.length; end > start; end = Math.max(text.lastIndexOf('}', end - 2), text.lastIndexOf(']', end - 2)) + 1) {
    const value = parseJson(text.slice(start, end))
    if (value !== undefined) return `${text.slice(0, start)}${sorted(value)}${text.slice(end)}`
  }
  return text
}

function parseJson(text: string): Json | undefined {
  const trimmed = text.trim()
  if (!/^[{[]/.test(trimmed) || !/[}\]]$/.test(trimmed)) return undefined
  try {
    return JSON.parse(trimmed) as Json
  } catch {
    return undefined
  }
}

function sorted(value: Json): string {
  if (Array.isArray(value)) return `[${value.map((item) => sorted(item as Json)).join(', ')}]`
  if (isJsonObject(value)) return `{${Object.keys(value).sort().map((key) => `${key}: ${sorted(value[key]!)}`).join(', ')}}`
  return asText(value)
}
