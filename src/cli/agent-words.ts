// Owns: how agents, their usage and their questions are written: one wording for every view. Pure.
import type { Cost, Question, Usage } from '../core/outcome.ts'
import type { Spend } from './live/run-view.ts'
import { counted, tokens, usd } from './terminal/amounts.ts'
import { symbol, type Look } from './terminal/style.ts'
import { cleanLine, cutMiddle, wrap } from './terminal/text.ts'

/** Options and questions shown in a view; the journal and `gate list --json` have all of them. */
const QUESTIONS = 10
const OPTIONS = 8

/** `claude·sonnet-5`: the client, and its model without the client's own name before it. */
export function agentName(
  agent: { readonly name?: string | undefined; readonly model?: string | undefined },
  look: Look,
  columns = Number.POSITIVE_INFINITY,
): string {
  const { name, model } = agent
  const short = name !== undefined && model?.startsWith(`${name}-`) === true ? model.slice(name.length + 1) : model
  const parts = [name, short].filter((part) => part !== undefined).map(cleanLine)
  return cutMiddle(parts.join(symbol('·', '/', look)), columns, look.ascii)
}

/** `↑48k R40k ↓2k`; empty when nothing was used. */
export function tokensUsed(
  { input, cacheRead, output }: Pick<Spend, 'input' | 'cacheRead' | 'output'>,
  look: Look,
): string {
  if (input === 0 && output === 0) return ''
  const cached = cacheRead > 0 ? ` R${tokens(cacheRead)}` : ''
  return `${symbol('↑', 'in ', look)}${tokens(input)}${cached} ${symbol('↓', 'out ', look)}${tokens(output)}`
}

/** `48k in (82 % cache), 2k out (800 reasoning)`. */
export function usageText(usage: Pick<Usage, 'input' | 'cache_read' | 'cache_write' | 'output' | 'reasoning'>): string {
  const input = usage.input + usage.cache_read + usage.cache_write
  const cached = usage.cache_read > 0 ? ` (${Math.round((usage.cache_read / input) * 100)} % cache)` : ''
  const reasoning = (usage.reasoning ?? 0) > 0 ? ` (${tokens(usage.reasoning!)} reasoning)` : ''
  return `${tokens(input)} in${cached}, ${tokens(usage.output)} out${reasoning}`
}

/** `$0.41 computed`, `unpriced`, `$0.41 computed, some of it unpriced`. */
export function costText(cost: Cost | undefined): string {
  if (cost === undefined) return ''
  if (cost.usd === null) return 'unpriced'
  return `${usd(cost.usd)} ${cost.source}${cost.unpriced === true ? ', some of it unpriced' : ''}`
}

/** `Which database? (why) [Postgres, SQLite]`, for one line. */
export function questionText(question: Question): string {
  const options = (question.options ?? []).slice(0, OPTIONS).map(({ label }) => label)
  const context = question.context === undefined ? '' : ` (${question.context})`
  return cleanLine(`${question.question}${context}${options.length === 0 ? '' : ` [${options.join(', ')}]`}`)
}

/** What a gate asks, in one line: an agent's questions stand below it, so they are only counted. */
export function gateQuestion({
  question,
  questions,
}: {
  readonly question: string
  readonly questions: readonly Question[]
}): string {
  return questions.length === 0 ? cleanLine(question) : `asks ${counted(questions.length, 'question')}`
}

/** The questions, each with its options below it, in lines of at most `columns`. */
export function questionLines(questions: readonly Question[], look: Look, columns: number): string[] {
  const left = questions.length - QUESTIONS
  const several = questions.length > 1
  return [
    ...questions
      .slice(0, QUESTIONS)
      .flatMap((question, index) => [
        ...indented(`${several ? `${index + 1}. ` : ''}${questionWords(question)}`, several ? 3 : 0, columns),
        ...optionLines(question, look, columns),
      ]),
    ...(left > 0 ? [`and ${left} more questions`] : []),
  ]
}

const questionWords = ({ question, context }: Question): string =>
  cleanLine(context === undefined ? question : `${question} (${context})`)

function optionLines({ options = [] }: Question, look: Look, columns: number): string[] {
  const more = options.length - OPTIONS
  return [
    ...options.slice(0, OPTIONS).flatMap(({ label, value, description }) => {
      const told = `${label}${value === label ? '' : ` (${value})`}${description === undefined ? '' : `: ${description}`}`
      const [first, ...rest] = indented(cleanLine(told), 0, columns - 5)
      return [`   ${symbol('·', '-', look)} ${first ?? ''}`, ...rest.map((text) => `     ${text}`)]
    }),
    ...(more > 0 ? [`   and ${more} more`] : []),
  ]
}

/** Wrapped, lines after the first one set in. */
function indented(text: string, by: number, columns: number): string[] {
  const lines = wrap(text, Math.max(20, columns - by))
  return lines.map((line, index) => (index === 0 ? line : ' '.repeat(by) + line))
}
