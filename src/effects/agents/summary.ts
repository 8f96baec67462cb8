// Owns: asking a model to sum up why a visit failed. What it says is generated text beside the reasons; whether it is asked
// at all is the core's. Whatever goes wrong here costs the summary, nothing else.
import type { RunSummary } from '../../core/commands.ts'
import { originalCause, type Failure } from '../../core/failure.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Ground } from '../command-run.ts'
import type { Report, Running } from '../context.ts'
import { childEnvironment, secretsOf } from '../environment.ts'
import { markerOf } from '../marker.ts'
import { lastBytes, messageOf } from '../reason.ts'
import { adapterOf } from './agents.ts'
import { askOnce } from './ask-once.ts'
import { priceOf } from './pricing.ts'

const TAIL_BYTES = 2_000
const MESSAGE_CHARS = 1_500
const QUESTION = `A step of an automated pipeline failed. Below are the reasons of its attempts, oldest first.
Say in at most four sentences, as plain text: what the original cause most likely is, whether the attempts failed for the
same reason, and what a person should do next. Name files, lines and commands where they are given. Use no tools.`

/** Asks; the outcome's `notes` are the text, if there is one. */
export function startSummary(ground: Ground, command: RunSummary, report: Report): Running {
  const stopped = new AbortController()
  void summarize(ground, command, stopped.signal)
    .catch((error: unknown): Awaited<ReturnType<typeof summarize>> => ({ problem: messageOf(error) }))
    .then(({ text, problem, model, usage, cost }) => {
      if (problem !== undefined) ground.context.logger.warn(`no summary of ${command.place.node}: ${problem}`)
      const notes = text === undefined || text.trim() === '' ? undefined : ground.context.mask.text(text)
      report.outcome({
        ...(notes !== undefined && { notes }),
        ...(usage && { usage: { ...usage, ...(model !== undefined && { model }) } }),
        ...(cost && { cost }),
        duration_ms: 0,
      })
    })
  return { stop: () => stopped.abort() }
}

async function summarize(ground: Ground, { id, place, agent, failures }: RunSummary, signal: AbortSignal) {
  const { context } = ground
  const secrets = secretsOf(place, context.secrets)
  if ('failure' in secrets) return { problem: secrets.failure.message }
  const marker = markerOf(context.runId, id)
  return await askOnce({
    adapter: adapterOf(agent.use),
    spec: agent,
    question: `${QUESTION}\n\n${failures.map(told).join('\n\n')}`,
    env: childEnvironment(ground.inherited, [secrets.values], place, {
      runId: context.runId,
      runDir: context.runDir,
      marker,
    }),
    price: (model, tokens) =>
      priceOf(model, tokens, context.prices ?? {}, { provider: agent.provider, baseUrl: agent.base_url }),
    marker,
    timeoutMs: LIMITS.agentProbeMs,
    signal,
  })
}

function told(failure: Failure, index: number): string {
  const cause = originalCause(failure)
  const tail = ['stderr_tail', 'output_tail', 'tail', 'stdout_tail', 'final_text']
    .map((key) => cause.details?.[key] ?? failure.details?.[key])
    .find((text) => typeof text === 'string' && text !== '')
  return [
    `## Attempt ${failure.attempt_id ?? index + 1}: ${failure.code}`,
    failure.message.slice(0, MESSAGE_CHARS),
    ...(cause === failure ? [] : [`Cause (${cause.code}): ${cause.message.slice(0, MESSAGE_CHARS)}`]),
    ...(typeof tail === 'string' ? [`Output:\n${lastBytes(tail, TAIL_BYTES)}`] : []),
  ].join('\n')
}
