// Owns: masking of a byte stream that arrives in any pieces, in bounded memory. Bytes are read as Latin-1, so invalid
// UTF-8 passes through unchanged.
import { type SecretMatcher, type Span, MASKED } from './secret-matcher.ts'

/** A line longer than this is masked in windows; patterns may then miss a match longer than the overlap. */
const WINDOW = 1024 * 1024
const OVERLAP = 64 * 1024

export interface MaskStream {
  /** The masked bytes that can be decided so far. They may share memory with `chunk`. */
  write(chunk: Uint8Array): Uint8Array
  /** The rest. The stream starts anew afterwards. */
  end(): Uint8Array
}

export class SecretStream implements MaskStream {
  readonly #matcher: SecretMatcher
  readonly #tables: readonly Int32Array[]
  /** What may still become (part of) a secret; its first `#covered` characters are already written as `***`. */
  #held = ''
  #covered = 0

  constructor(matcher: SecretMatcher) {
    this.#matcher = matcher
    this.#tables = matcher.literals.map(failureTable)
  }

  write(chunk: Uint8Array): Uint8Array {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const text = this.#held + bytes.toString('latin1')
    const spans = this.#matcher.find(text)
    const cut = Math.min(this.#openLiteral(text), this.#openLine(text, spans))
    if (cut === text.length && spans.length === 0 && this.#held === '') return bytes
    return this.#emit(text, spans, cut)
  }

  end(): Uint8Array {
    const text = this.#held
    return this.#emit(text, this.#matcher.find(text), text.length)
  }

  /** Writes `text` up to `cut` and holds the rest. A span across the cut is written at once and remembered as covered. */
  #emit(text: string, spans: readonly Span[], cut: number): Uint8Array {
    let out = ''
    let from = Math.min(this.#covered, cut)
    let covered = this.#covered
    for (const [start, end] of spans) {
      if (start >= cut) break
      // A span that begins inside what is covered is the same `***` going on.
      if (start >= covered) out += text.slice(from, start) + MASKED
      covered = Math.max(covered, end)
      from = Math.min(covered, cut)
    }
    out += text.slice(from, cut)
    this.#held = text.slice(cut)
    this.#covered = Math.max(0, covered - cut)
    return Buffer.from(out, 'latin1')
  }

  /** Start of the longest end of `text` that could be the beginning of a literal. */
  #openLiteral(text: string): number {
    let longest = 0
    this.#matcher.literals.forEach((literal, i) => {
      longest = Math.max(longest, prefixAtEnd(text, literal, this.#tables[i]!))
    })
    return text.length - longest
  }

  /** With patterns: start of the last, incomplete line, or of the overlap when that line is too long. */
  #openLine(text: string, spans: readonly Span[]): number {
    if (this.#matcher.patterns.length === 0) return text.length
    const start = text.lastIndexOf('\n') + 1
    if (text.length - start <= WINDOW) return start
    const cut = text.length - OVERLAP
    const across = spans.find(([from, to]) => from < cut && to > cut)
    return across && text.length - across[0] <= 2 * OVERLAP ? across[0] : cut
  }
}

/** Knuth-Morris-Pratt: for each length of a matched beginning, the next shorter one that also ends there. */
function failureTable(literal: string): Int32Array {
  const table = new Int32Array(literal.length)
  for (let i = 1, k = 0; i < literal.length; i++) {
    while (k > 0 && literal.charCodeAt(i) !== literal.charCodeAt(k)) k = table[k - 1]!
    if (literal.charCodeAt(i) === literal.charCodeAt(k)) k++
    table[i] = k
  }
  return table
}

/** Length of the longest proper beginning of `literal` that `text` ends with. */
function prefixAtEnd(text: string, literal: string, table: Int32Array): number {
  let k = 0
  for (let i = Math.max(0, text.length - literal.length + 1); i < text.length; i++) {
    const c = text.charCodeAt(i)
    while (k > 0 && c !== literal.charCodeAt(k)) k = table[k - 1]!
    if (c === literal.charCodeAt(k)) k++
  }
  return k
}
