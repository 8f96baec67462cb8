// Owns: what the numbers of Codex's items tell about its stream: whether one is missing, or came out of turn. They count up
// from 0 in every launch (seen with 0.169.0).
import { asText, type Fields } from './loose-json.ts'

/** Items that begin and end. */
const TOOLS = /^(?:command_execution|file_change|mcp_tool_call|collab_tool_call|web_search)$/

export class ItemOrder {
  /** Type by number. */
  readonly #items = new Map<number, string>()
  readonly #open = new Set<number>()
  #highest = -1
  #isDisordered = false

  /** @param late its turn had been told to be over */
  add(phase: string, item: Fields, late: boolean): void {
    const number = Number(/^item_(\d+)$/.exec(asText(item['id']) ?? '')?.[1] ?? Number.NaN)
    if (Number.isNaN(number)) return
    const isNew = !this.#items.has(number)
    const type = asText(item['type']) ?? 'item'
    this.#items.set(number, type)
    if (late || (isNew ? number < this.#highest : phase === 'item.started')) this.#isDisordered = true
    this.#highest = Math.max(this.#highest, number)
    if (phase === 'item.completed') this.#open.delete(number)
    else if (isNew && TOOLS.test(type)) this.#open.add(number)
  }

  /** Sentences for people. @param isOver its turn was completed, so that all of it should be there */
  gaps(isOver: boolean): readonly string[] {
    const lost = this.#highest + 1 - this.#items.size
    const hasAnswer = [...this.#items.values()].includes('agent_message')
    const isLastTool = TOOLS.test(this.#items.get(this.#highest) ?? '')
    return [
      ...(lost > 0 ? [`${lost} of the items of its stream ${lost === 1 ? 'is' : 'are'} missing`] : []),
      ...(this.#isDisordered ? ['items of its stream came out of their order'] : []),
      ...(isOver && this.#open.size > 0 ? ['the end of a tool call is not in its stream'] : []),
      ...(isOver && (!hasAnswer || isLastTool) ? ['its last answer is not in its stream'] : []),
    ]
  }
}
