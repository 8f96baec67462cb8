// Owns: decisions about attempts: start, what effects report about them, checks, whether there is another one.
import { chosenFor, codesOf, hasFallback, modelOf } from './choose-agent.ts'
import { environmentExpressions, evaluateAll, type Site } from './evaluation.ts'
import type { Event, EventOf } from './events.ts'
import { isRetryable, resultOf } from './failure.ts'
import { completeFailure, failure } from './failures.ts'
import { attemptId, spanIdOf } from './ids.ts'
import type { InputOf, Refusal } from './inputs.ts'
import type { JsonObject } from './json.ts'
import { LIMITS } from './limits.ts'
import type { Outcome } from './outcome.ts'
import { identity, stale } from './attempt-identity.ts'
import { boundQuestions, isRequest } from './questions.ts'
import { retryDelay } from './policy.ts'
import { blockingBudget, budgetsOf, limitOf, nameOf } from './budgets.ts'
import type { RunState } from './state.ts'
import type { BudgetState, NodeState } from './node-state.ts'
import { toTimestamp } from './time.ts'

/** The next attempt of a visit that has a slot. */
export function decideStart(state: RunState, node: NodeState): Event[] {
  const used = usedUpAttempts(state, node)
  if (used) return [exceeded(used)]
  const number = node.attemptsInVisit + 1
  const id = attemptId(node.path, node.visits, number)
  const site: Site = { scope: node.scope, node, what: `node ${node.path}` }
  const evaluated = evaluateAll(state, site, environmentExpressions(node.scope, node, new Set(node.def.expressions)))
  const spanId = spanIdOf(state.runId, state.execution, `attempt ${id}`)
  const before = node.prior.at(-1)
  const base = { node: node.path, visit: node.visits, attempt: number, attempt_id: id }
  const started: EventOf<'attempt.started'> = {
    type: 'attempt.started',
    ...base,
    kind: node.def.kind,
    max: maxAttempts(node),
    span_id: spanId,
    parent_span_id: node.spanId,
    ...(node.def.kind === 'agent' && { agent_span_id: spanIdOf(state.runId, state.execution, `agent ${id}`) }),
    inputs: evaluated.value ?? {},
    ...(number > 1 && node.delayMs !== undefined && { delay_ms: node.delayMs }),
    ...(before && { retry_of: before.span_id }),
    ...whoDoesIt(node, evaluated.value ?? {}),
    ...(node.def.timeout_ms !== undefined && { timeout_ms: node.def.timeout_ms }),
    ...(node.def.stall_timeout_ms !== undefined && { stall_timeout_ms: node.def.stall_timeout_ms }),
  }
  if (!evaluated.failure) return [started]
  const reason = { ...evaluated.failure, attempt_id: id }
  return [
    started,
    {
      type: 'attempt.finished',
      ...base,
      result: resultOf(reason.code),
      failure: reason,
      duration_ms: 0,
      span_id: spanId,
    },
  ]
}

function whoDoesIt(node: NodeState, inputs: JsonObject): Partial<EventOf<'attempt.started'>> {
  const who = chosenFor(node)
  if (!who) return {}
  const model = modelOf(who.spec, inputs)
  return {
    agent: who.spec.use,
    ...(model !== undefined && { model }),
    ...(who.chosen && { chosen: who.chosen }),
  }
}

/** Lost attempts, those of fallbacks and those after an answer use no retry budget: the bound grows with them. */
const maxAttempts = (node: NodeState): number =>
  Math.max(1, node.def.retry.max_attempts - node.retriesCarried) +
  node.lostInVisit +
  node.fallbacksInVisit +
  node.answeredInVisit

function usedUpAttempts(state: RunState, node: NodeState): BudgetState | undefined {
  for (const budget of budgetsOf(state, node)) {
    if (
      budget.limits.attempts !== undefined &&
      budget.attempts >= budget.limits.attempts &&
      !budget.exceeded.has('attempts')
    )
      return budget
  }
  return undefined
}

function exceeded(budget: BudgetState): Event {
  const limit = limitOf(budget, 'attempts')!
  return {
    type: 'budget.exceeded',
    scope: budget.scopePath,
    budget: 'attempts',
    used: budget.attempts,
    limit,
    mode: budget.limits.mode,
    failure: failure(
      'budget_exhausted',
      'scheduler',
      `The budget of ${nameOf(budget)} is used up: ${budget.attempts} of ${limit} attempts`,
    ),
  }
}

// -- reports of effects

export function decideOutcome(state: RunState, input: InputOf<'attempt.outcome'>): Event[] | Refusal {
  const node = state.attempts.get(input.attempt_id)
  if (!node?.attempt?.open || node.attempt.acted) return stale(input.attempt_id)
  const { outcome } = input
  const report = outcome.failure ?? invalidReport(node, outcome)
  const reason = report && completeFailure(report, input.attempt_id)
  const base = identity(node)
  const asks = isRequest(node, outcome.label)
  const said = {
    ...(outcome.label !== undefined && { label: outcome.label }),
    ...(outcome.outputs && fits(outcome) && { outputs: outcome.outputs }),
    ...(outcome.partial && { partial: true }),
    ...(outcome.next !== undefined && { next: outcome.next }),
    ...(outcome.notes !== undefined && { notes: outcome.notes.slice(0, LIMITS.failureTailBytes) }),
    ...(outcome.usage && { usage: outcome.usage }),
    ...(outcome.cost && { cost: outcome.cost }),
    ...(outcome.process && { process: outcome.process }),
    ...(outcome.session && { session: outcome.session }),
    ...(outcome.questions && asks && { questions: boundQuestions(outcome.questions) }),
    duration_ms: outcome.duration_ms,
  }
  // Who asks is not done: there is nothing to check yet.
  if (!reason && !outcome.skipped && !asks && node.def.checks.length > 0 && !node.stop)
    return [{ type: 'attempt.acted', ...base, ...said }]
  const result = reason ? resultOf(reason.code) : outcome.skipped ? 'skip' : 'success'
  return [
    {
      type: 'attempt.finished',
      ...base,
      result,
      ...(reason && { failure: reason }),
      ...said,
      span_id: node.attempt.spanId,
    },
  ]
}

const fits = (outcome: Outcome): boolean => JSON.stringify(outcome.outputs).length <= LIMITS.entryBytes - 32 * 1024

/** Reports that break the node's own contract. */
function invalidReport(node: NodeState, outcome: Outcome): Outcome['failure'] {
  const { decision, routes } = node.def
  const source = node.def.kind === 'agent' ? 'agent' : 'command'
  if (outcome.skipped) return undefined
  if (decision && (outcome.label === undefined || !decision.includes(outcome.label))) {
    const got = outcome.label === undefined ? 'no label' : `the label \`${outcome.label}\``
    return {
      code: 'invalid_output',
      source,
      message: `${node.path} has to end with one of the labels ${decision.join(', ')}; it gave ${got}`,
    }
  }
  if (outcome.next !== undefined && !routes.some((route) => route.to === outcome.next)) {
    const known = routes.map((route) => route.to).join(', ') || 'none'
    return {
      code: 'invalid_output',
      source,
      message: `${node.path} reported next \`${outcome.next}\`, which no route of it leads to (routes: ${known})`,
    }
  }
  if (outcome.outputs && !fits(outcome)) {
    return {
      code: 'invalid_output',
      source,
      message: `The outputs of ${node.path} are too large to record (limit about ${(LIMITS.entryBytes - 32 * 1024) / 1024} KiB); write them to a file and report its path`,
    }
  }
  return undefined
}

/** What an effect saw; nothing of an attempt is recorded after its end. */
export function decideObserved(state: RunState, input: InputOf<'attempt.observed'>): Event[] | Refusal {
  const node = state.attempts.get(input.attempt_id)
  // Processes that outlived an attempt may be ended (and said so) after it.
  if (!node?.attempt?.open && input.event.type !== 'processes.ended' && input.event.type !== 'warning.raised')
    return stale(input.attempt_id)
  return state.phase === 'running' ? [input.event] : stale(input.attempt_id)
}

export function decideUsage(state: RunState, input: InputOf<'attempt.usage'>): Event[] | Refusal {
  const node = state.attempts.get(input.attempt_id)
  if (!node?.attempt?.open) return stale(input.attempt_id)
  return [
    { type: 'attempt.progressed', ...identity(node), usage: input.usage, ...(input.cost && { cost: input.cost }) },
  ]
}

/** Waiting for a limit is not a retry: bounded in number and length; past that the effect has to end as rate_limited. */
export function decideWaiting(state: RunState, input: InputOf<'attempt.waiting'>): Event[] | Refusal {
  const node = state.attempts.get(input.attempt_id)
  if (!node?.attempt?.open || node.attempt.waiting || node.attempt.acted) return stale(input.attempt_id)
  const length = Math.max(0, input.resumes_at - input.now)
  if (node.limitWaits >= LIMITS.limitWaits || node.limitWaitMs + length > LIMITS.limitWaitMs) {
    return {
      refused: 'invalid',
      message: `${node.path} may wait for a limit ${LIMITS.limitWaits} times and ${LIMITS.limitWaitMs / 3_600_000} h in all`,
    }
  }
  return [
    {
      type: 'attempt.waiting',
      ...identity(node),
      due_at: toTimestamp(input.resumes_at),
      wait: node.limitWaits + 1,
      failure: completeFailure(input.failure, input.attempt_id),
    },
  ]
}

// -- checks

export function decideRetryOf(state: RunState, node: NodeState, now: number): Event | undefined {
  const { attempt } = node
  if (node.step !== 'concluding' || !attempt?.failure || attempt.lost || node.settled || node.stop || state.cancel)
    return undefined
  const { retry } = node.def
  if (blockingBudget(state, node) || node.attemptsInVisit >= LIMITS.attempts) return undefined
  const fallback = node.def.kind === 'agent' && hasFallback(node.def.agent, codesOf(node))
  const used = node.retriesInVisit - node.fallbacksInVisit + node.retriesCarried
  if (!fallback && (!isRetryable(attempt.failure.code, retry.on) || used + 1 >= retry.max_attempts)) return undefined
  const delay = fallback ? 0 : retryDelay(retry, used + 1, state.runId, attempt.id)
  return {
    type: 'retry.scheduled',
    ...identity(node),
    next_attempt: attempt.number + 1,
    max: maxAttempts(node) + (fallback ? 1 : 0),
    delay_ms: delay,
    due_at: toTimestamp(now + delay),
    failure: attempt.failure,
    ...(fallback && { fallback }),
  }
}
