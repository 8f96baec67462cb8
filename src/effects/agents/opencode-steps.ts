// Owns: which parts of which step OpenCode's stream has told, by the message that each part names, so that neither their order
// nor a missing one goes unseen. Seen with 1.18.33: all parts of a step name the same message.
import { asText, type Fields } from './loose-json.ts'

interface Step {
  finish: string | undefined
  tools: number
  text: string | undefined
}

export class OpencodeSteps {
  readonly #steps = new Map<string, Step>()
  #latest = Number.NEGATIVE_INFINITY
  #isDisordered = false

  /** @param time the client's own, epoch ms; undefined: it has none */
  add(type: string, part: Fields, time: number | undefined): void {
    if (time !== undefined) {
      if (time < this.#latest) this.#isDisordered = true
      this.#latest = Math.max(this.#latest, time)
    }
    const message = asText(part['messageID'])
    if (message === undefined || part['synthetic'] === true) return
    const step = this.#steps.get(message) ?? { finish: undefined, tools: 0, text: undefined }
    this.#steps.set(message, step)
    if (step.finish !== undefined && type !== 'step_finish') this.#isDisordered = true
    if (type === 'step_finish') step.finish = asText(part['reason']) ?? 'unknown'
    if (type === 'tool_use') step.tools++
    if (type === 'text') step.text = asText(part['text']) ?? step.text
  }

  /** What was said in the step that this part belongs to; undefined: nothing, or it names none. */
  textOf(part: Fields): string | undefined {
    return this.#steps.get(asText(part['messageID']) ?? '')?.text
  }

  /** Sentences for people. @param isOver its last step ended well, so that all of it should be there */
  gaps(isOver: boolean): readonly string[] {
    const steps = [...this.#steps.values()]
    const open = steps.filter(({ finish }) => finish === undefined).length
    const toolless = steps.some(({ finish, tools }) => finish === 'tool-calls' && tools === 0)
    const last = steps.findLast(({ finish }) => finish === 'stop')
    return [
      ...(this.#isDisordered ? ['lines of its stream came out of their order'] : []),
      ...(toolless ? ['a tool call is not in its stream'] : []),
      ...(isOver && open > 0 ? [`the end of ${open === 1 ? 'a step' : `${open} steps`} is not in its stream`] : []),
      ...(isOver && last && last.text === undefined ? ['its answer is not in its stream'] : []),
    ]
  }
}
