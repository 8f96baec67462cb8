// Owns: the agent part of random pipelines and random worlds: fallbacks, escalations, sessions, questions, calls that cost.
import type { RunAttempt } from '../../src/core/commands.ts'
import type { Random } from './random-pipeline.ts'
import { failureOf, type Answer } from './world.ts'

/** `agent:` and what belongs to it. `before`: ids of nodes whose conversation it may go on with. */
export function randomAgent(r: Random, before: readonly string[]): { [key: string]: unknown } {
  const others = [{ use: 'codex' }, { model: 'tiny' }, { use: 'gemini', model: 'other' }]
  const session = r.pick(['new', 'continue', ...(before.length > 0 ? [`\${{ nodes.${r.pick(before)}.session }}`] : [])])
  return {
    agent: {
      use: 'claude',
      model: 'small',
      prompt: 'p',
      session,
      ...(r.chance(0.5) && { fallback: others.slice(0, 1 + r.int(3)) }),
      ...(r.chance(0.4) && { escalate: { model: 'large', after: 1 + r.int(3) } }),
    },
    ...(r.chance(0.5) && { decision: ['approve', 'rework', 'fail', 'needs_input'] }),
  }
}

export const randomMoney = (r: Random): { [key: string]: unknown } =>
  r.pick([
    { usd: 0.5 + r.int(4), tokens: 5_000 },
    { usd: 1 },
    { tokens: 300 + r.int(1_000) },
    { usd: 1, mode: 'audit' },
    { time: `${1 + r.int(60)}s`, usd: 3 },
    { attempts: 1 + r.int(8), usd: 2 },
  ])

/** What an agent does besides: calls that are reserved and paid for, a conversation, questions, ways to be out of reach. */
export function randomAgentAnswer(r: Random, { agent, node, attempt }: RunAttempt, answer: Answer): Answer {
  if (!agent) return answer
  const calls = Array.from({ length: r.int(4) }, () => ({
    usd: r.int(60) / 100,
    reserve: r.chance(0.8) ? r.int(80) / 100 : undefined,
    takes: r.int(2_000),
  }))
  const { failure } = answer
  const unreached = r.chance(0.4)
    ? { failure: failureOf(r.pick(['rate_limited', 'provider_unavailable', 'network'])) }
    : {}
  return {
    ...answer,
    calls,
    ...(r.chance(0.7) && {
      session: {
        id: `${node.id}-${attempt % 2}`,
        ...(r.chance(0.5) && { totals: { input: 9, cache_read: 0, cache_write: 0, output: 1 } }),
      },
    }),
    ...(r.chance(0.5) && {
      questions: [{ id: 'q', question: 'Which?', ...(r.chance(0.5) && { options: options(r) }) }],
    }),
    ...(failure && unreached),
    ...(!failure && node.decision && r.chance(0.5) && { label: 'needs_input' }),
  }
}

const options = (r: Random): { label: string; value: string }[] =>
  ['one', 'two', 'reject'].slice(0, 1 + r.int(3)).map((value) => ({ label: value, value }))
