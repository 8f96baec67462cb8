// Owns: what shows that lines of Gemini CLI's stream are missing, came twice or out of their order. They have no numbers, but
// times, of the clock with which it writes them one after the other.
import { asText, type Fields } from './loose-json.ts'

const KNOWN: ReadonlySet<string> = new Set(['init', 'message', 'tool_use', 'tool_result', 'error', 'result'])

export class StreamOrder {
  #latest = Number.NEGATIVE_INFINITY
  #lastLine = ''
  #isDisordered = false
  #isRepeated = false
  #isDamaged = false
  #hasBeginning = false
  #hasAnswer = false
  #isOver = false

  /** @param time its own, epoch ms; undefined: it has none */
  add(event: Fields, line: string, time: number | undefined): void {
    const type = asText(event['type']) ?? ''
    if (!KNOWN.has(type)) return
    if (this.#isOver && type !== 'result') this.#isDisordered = true
    if (time !== undefined) {
      if (time < this.#latest) this.#isDisordered = true
      this.#latest = Math.max(this.#latest, time)
    }
    // A part of an answer has nothing that would tell it from the one before.
    if (type === 'message' && line === this.#lastLine) this.#isRepeated = true
    this.#lastLine = line
    if (type === 'init') this.#hasBeginning = true
    if (type === 'message' || type === 'tool_use') this.#hasAnswer = event['role'] === 'assistant'
    if (type === 'result') this.#isOver = true
  }

  /** A line that is no JSON. Parts of an answer are missed by nothing else. */
  unreadable(line: string): void {
    if (line.includes('"type":"message"') && line.includes('"assistant"')) this.#isDamaged = true
  }

  /** Sentences for people. @param isOver it succeeded, so that all of it should be there */
  gaps(isOver: boolean): readonly string[] {
    return [
      ...(this.#isDisordered ? ['lines of its stream came out of their order'] : []),
      ...(this.#isDamaged ? ['a part of its answer cannot be read'] : []),
      ...(this.#isRepeated ? ['a line of its answer came twice, which may be what it said'] : []),
      ...(isOver && !this.#hasBeginning ? ['the beginning of its stream is missing'] : []),
      ...(isOver && !this.#hasAnswer ? ['its answer is not in its stream'] : []),
    ]
  }
}
