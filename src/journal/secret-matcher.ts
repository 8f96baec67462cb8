// Owns: finding secrets in one piece of text. Literals are found everywhere, also overlapping ones; patterns see one
// line at a time. Must not: know what the text belongs to.

import { isUtf8 } from 'node:buffer'

/** Half-open range of a text. */
export type Span = readonly [start: number, end: number]
export const MASKED = '***'

export class SecretMatcher {
  readonly literals: readonly string[]
  readonly patterns: readonly RegExp[]
  /** One pass over a text that says whether any literal is in it; undefined when there are none. */
  readonly #quick: RegExp | undefined

  readonly #bytes: boolean

  /** With `bytes`, literals and texts are Latin-1 readings of UTF-8 bytes; patterns are as they are written. */
  constructor(literals: readonly string[], patterns: readonly RegExp[], bytes = false) {
    this.#bytes = bytes
    this.literals = bytes ? literals.map((text) => Buffer.from(text).toString('latin1')) : literals
    this.patterns = patterns.map((pattern) => new RegExp(pattern.source, `${pattern.flags.replace(/[gmy]/g, '')}gm`))
    // A literal that contains another one is found with it.
    const shortest = this.literals.filter((a) => !this.literals.some((b) => b !== a && a.includes(b)))
    this.#quick = shortest.length > 0 ? new RegExp(shortest.map(escaped).join('|')) : undefined
  }

  hasLiteral(text: string): boolean {
    return this.#quick !== undefined && this.#quick.test(text)
  }

  /** Where secrets stand in `text`, in order; overlapping finds are one span. */
  find(text: string): Span[] {
    const found: Span[] = []
    if (this.hasLiteral(text)) for (const literal of this.literals) findAll(text, literal, found)
    const find = this.#bytes ? byteMatches : matches
    for (const pattern of this.patterns) findLines(text, (line) => find(line, pattern), found)
    return found.length < 2 ? found : merge(found)
  }
}

/** RegExp.escape came with Node 24. */
const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')

/** `text` with each span replaced. */
export function replaceSpans(text: string, spans: readonly Span[]): string {
  if (spans.length === 0) return text
  let out = ''
  let from = 0
  for (const [start, end] of spans) {
    out += text.slice(from, start) + MASKED
    from = end
  }
  return out + text.slice(from)
}

function findAll(text: string, literal: string, found: Span[]): void {
  for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + 1))
    found.push([at, at + literal.length])
}

/** Line by line, so that a log that arrives in pieces and a whole text give the same. */
function findLines(text: string, find: (line: string) => Iterable<Span>, found: Span[]): void {
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf('\n', start)
    const end = newline < 0 ? text.length : newline
    for (const [from, to] of find(text.slice(start, end))) found.push([start + from, start + to])
    start = end + 1
  }
}

function* matches(line: string, pattern: RegExp): Generator<Span> {
  for (const match of line.matchAll(pattern)) {
    if (match[0] !== '') yield [match.index, match.index + match[0].length]
  }
}

/** As `matches` for the Latin-1 reading of bytes: a valid line is looked at as the UTF-8 that it is. */
function* byteMatches(line: string, pattern: RegExp): Generator<Span> {
  const bytes = /[\u0080-\u00ff]/.test(line) ? Buffer.from(line, 'latin1') : undefined
  if (!bytes || !isUtf8(bytes)) return yield* matches(line, pattern)
  const text = bytes.toString('utf8')
  for (const [start, end] of matches(text, pattern)) {
    const from = Buffer.byteLength(text.slice(0, start))
    yield [from, from + Buffer.byteLength(text.slice(start, end))]
  }
}

function merge(found: Span[]): Span[] {
  found.sort((a, b) => a[0] - b[0] || b[1] - a[1])
  const merged: [number, number][] = []
  for (const [start, end] of found) {
    const last = merged.at(-1)
    if (last && start < last[1]) last[1] = Math.max(last[1], end)
    else merged.push([start, end])
  }
  return merged
}
