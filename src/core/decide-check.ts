// Owns: decisions about checks: the next one, what they reported, the end of the attempt after them.
import { commandExpressions, environmentExpressions, evaluateAll, type Site } from './evaluation.ts'
import type { Event } from './events.ts'
import { resultOf, type Failure } from './failure.ts'
import { completeFailure, failure } from './failures.ts'
import { spanIdOf, visitId } from './ids.ts'
import type { InputOf, Refusal } from './inputs.ts'
import { checkId } from './command-queue.ts'
import { checkReason } from './visit-outcome.ts'
import { checkOrder } from './policy.ts'
import type { RunState } from './state.ts'
import type { NodeState } from './node-state.ts'
import { expressionsIn } from './template.ts'
import { identity, stale } from './attempt-identity.ts'

/** The next check in order of level, or the end of the attempt. For a fan-out: the next check, or nothing. */
export function decideChecks(state: RunState, node: NodeState): Event[] {
  const order = checkOrder(node.def)
  const attempt = node.attempt?.open ? node.attempt : undefined
  if (node.checkFailure || node.checkIndex >= order.length || node.stop) return attempt ? [endOfChecks(node)] : []
  const index = order[node.checkIndex]!
  const check = node.def.checks[index]!
  const owner = attempt?.id ?? visitId(node.path, node.visits)
  const site: Site = {
    scope: node.scope,
    node,
    what: `check ${check.name} of node ${node.path}`,
    outcome: { result: 'success', label: attempt?.acted?.label, failure: undefined },
  }
  const expressions = check.run
    ? commandExpressions(check.run, node.scope, node)
    : environmentExpressions(node.scope, node, expressionsIn(check.rule))
  const evaluated = evaluateAll(state, site, expressions)
  const base = {
    node: node.path,
    visit: node.visits,
    ...(attempt && { attempt_id: attempt.id }),
    name: check.name,
    index,
    level: check.level,
    required: check.required,
  }
  const spanId = spanIdOf(state.runId, state.execution, `check ${checkId(owner, index)}`)
  const started: Event = {
    type: 'check.started',
    ...base,
    inputs: evaluated.value ?? {},
    span_id: spanId,
    parent_span_id: attempt?.spanId ?? node.spanId,
  }
  if (!evaluated.failure) return [started]
  return [
    started,
    {
      type: 'check.finished',
      ...base,
      passed: false,
      failure: checkFailed(check.name, evaluated.failure, attempt?.id),
      duration_ms: 0,
      span_id: spanId,
    },
  ]
}

function endOfChecks(node: NodeState): Event {
  const attempt = node.attempt!
  const acted = attempt.acted!
  const reason =
    checkReason(node) ??
    (node.stop && failure(node.stop.code, 'scheduler', node.stop.message, { attemptId: attempt.id }))
  return {
    type: 'attempt.finished',
    ...identity(node),
    result: reason ? resultOf(reason.code) : 'success',
    ...(reason && { failure: reason }),
    ...(acted.label !== undefined && { label: acted.label }),
    ...(acted.outputs && { outputs: acted.outputs }),
    ...(acted.partial && { partial: true }),
    ...(acted.next !== undefined && { next: acted.next }),
    ...(acted.notes !== undefined && { notes: acted.notes }),
    ...(acted.usage && { usage: acted.usage }),
    ...(acted.cost && { cost: acted.cost }),
    ...(acted.process && { process: acted.process }),
    ...(acted.session && { session: acted.session }),
    duration_ms: acted.duration_ms,
    span_id: attempt.spanId,
  }
}

const checkFailed = (name: string, cause: Failure, id: string | undefined): Failure =>
  failure('check_failed', 'check', `Check ${name} failed: ${cause.message}`, {
    causes: [cause],
    ...(id !== undefined && { attemptId: id }),
  })

export function decideCheckOutcome(state: RunState, input: InputOf<'check.outcome'>): Event[] | Refusal {
  const command = state.commands.get(input.id)
  if (command?.kind !== 'check') return stale(input.id)
  const index = Number(input.id.slice(input.id.lastIndexOf(':') + 1))
  const owner = command.attempt_id === undefined ? undefined : state.attempts.get(command.attempt_id)
  const check = (owner ?? nodeOfCheck(state, command.place.node))?.def.checks[index]
  if (!check) return stale(input.id)
  const cause = input.failure && completeFailure(input.failure)
  return [
    {
      type: 'check.finished',
      node: command.place.node,
      visit: command.place.visit,
      ...(command.attempt_id !== undefined && { attempt_id: command.attempt_id }),
      name: check.name,
      index,
      level: check.level,
      required: check.required,
      passed: !cause,
      ...(cause && { failure: checkFailed(check.name, cause, command.attempt_id) }),
      ...(input.process && { process: input.process }),
      duration_ms: input.duration_ms,
      span_id: command.place.span_id,
    },
  ]
}

const nodeOfCheck = (state: RunState, path: string): NodeState | undefined => {
  const slash = path.lastIndexOf('/') + 1
  return state.scopes.get(path.slice(0, slash))?.nodes.get(path.slice(slash))
}
