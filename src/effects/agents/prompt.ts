// Owns: the whole text an agent is given: what the pipeline asks, what happened before, what a person answered, what the
// attempts before got wrong, and how to end. Bounded. Must not: find any of it out.
import type { HistoryLine, RunAttempt } from '../../core/commands.ts'
import type { FailureReport } from '../../core/failure.ts'
import { LIMITS } from '../../core/limits.ts'
import { dispositionForm } from '../decision.ts'
import { lastBytes, oneLine, reason, shortened } from '../reason.ts'

export interface PromptParts {
  /** Of the pipeline, filled in. */
  readonly prompt: string
  readonly history?: readonly HistoryLine[] | undefined
  readonly answers?: RunAttempt['answers']
  /** retry-context.md. */
  readonly retryContext?: string | undefined
  readonly decision?: { readonly labels: readonly string[]; readonly targets: readonly string[] } | undefined
}

const HISTORY_CHARS = 300
const BREAK = '\n\n'

/** The prompt, or why there is none: it is empty, or the pipeline's part alone is too large. */
export function composePrompt(parts: PromptParts): { readonly text: string } | { readonly failure: FailureReport } {
  const asked = parts.prompt.trim()
  if (asked === '')
    return { failure: reason('config_invalid', 'the prompt is empty: write what the agent shall do', 'agent') }
  const ending = howToDecide(parts)
  const fixed = [asked, ending].filter((part) => part !== undefined)
  const room = LIMITS.promptBytes - Buffer.byteLength(fixed.join(BREAK))
  if (room < 0) {
    const bytes = Buffer.byteLength(asked)
    const message = `the prompt has ${bytes} bytes, more than the ${LIMITS.promptBytes} an agent is given: let it read large texts from files`
    return { failure: reason('config_invalid', message, 'agent', { bytes }) }
  }
  const learnt = [whatHappened(parts.history), whatWasAnswered(parts.answers), parts.retryContext?.trim()]
  const told = lastBytes(learnt.filter((part) => part !== undefined && part !== '').join(BREAK), Math.max(0, room - 8))
  const text = [asked, told, ending].filter((part) => part !== undefined && part !== '').join(BREAK)
  return { text: `${text}\n` }
}

/** One line for each node. */
function whatHappened(history: readonly HistoryLine[] = []): string | undefined {
  if (history.length === 0) return undefined
  const shown = history.slice(-LIMITS.historyLines)
  const omitted = history.length - shown.length
  const lines = shown.map(({ node, visit, result, label, notes, failure }) => {
    const said = [failure, notes].filter((text) => text !== undefined && text !== '').map((text) => oneLine(text!))
    const visited = visit > 1 ? ` (visit ${visit})` : ''
    const came = label === undefined ? result : `${result}, \`${label}\``
    return `- ${node}${visited}: ${came}${said.length > 0 ? `: ${shortened(said.join('; '), HISTORY_CHARS)}` : ''}`
  })
  return [
    '## What happened before',
    ...(omitted > 0 ? [`(${omitted} earlier steps are not shown.)`] : []),
    lines.join('\n'),
  ].join(BREAK)
}

function whatWasAnswered(answers: RunAttempt['answers']): string | undefined {
  if (!answers) return undefined
  const asked = answers.question?.trim()
  const comment = answers.comment?.trim()
  return [
    '## Answers to your questions',
    ...(asked ? [`You asked:\n${asked}`] : []),
    `A person answered: ${answers.choice}`,
    ...(comment ? [comment] : []),
  ].join(BREAK)
}

const howToDecide = ({ decision }: PromptParts): string | undefined =>
  decision && ['## How to end', dispositionForm(decision.labels, decision.targets)].join(BREAK)
