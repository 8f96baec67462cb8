// Owns: decisions about the run itself: create, resume, retry, interrupt, cancel, gate answers, its hooks, its end.
import { hookFailure } from './decide-hooks.ts'
import type { Event } from './events.ts'
import { originalCause, type Failure, type FailureReport, type Result } from './failure.ts'
import { completeFailure, failure } from './failures.ts'
import { pathWithoutVisits, spanIdOf } from './ids.ts'
import type { InputOf, Refusal } from './inputs.ts'
import { isFailing } from './policy.ts'
import { scopeChildren, scopeOutcome } from './scope-outcome.ts'
import { findNode, type RunState, type Scope } from './state.ts'
import type { NodeState } from './node-state.ts'
import { totalsOf } from './summary.ts'

const refuse = (refused: Refusal['refused'], message: string): Refusal => ({ refused, message })

export function decideCreate(state: RunState, input: InputOf<'create'>): Event[] | Refusal {
  if (state.phase !== 'new') return refuse('conflict', `Run ${state.runId} exists already`)
  for (const [option, id] of [
    ['--only', input.only],
    ['--from', input.from],
  ] as const) {
    if (id !== undefined && !state.root.nodes.has(id))
      return refuse(
        'not_found',
        `${option} ${id}: the pipeline has no such node (it has ${[...state.root.nodes.keys()].slice(0, 20).join(', ')})`,
      )
  }
  return [
    {
      type: 'run.created',
      run_id: input.run_id,
      ...(input.key !== undefined && { key: input.key }),
      labels: { ...input.labels },
      pipeline: { name: state.pipeline.name, hash: input.pipeline_hash },
      params: input.params,
      max_parallel: input.max_parallel,
      ...(state.pipeline.budget && { budget: { ...state.pipeline.budget } }),
      execution: 1,
      ...(input.only !== undefined && { only: input.only }),
      ...(input.from !== undefined && { from: input.from }),
      trace_id: input.trace_id,
      ...(input.inbound && { inbound: input.inbound }),
      span_id: spanIdOf(input.run_id, 1, 'run'),
      ...(input.inbound?.relation === 'parent' && { parent_span_id: input.inbound.span_id }),
    },
  ]
}

// -- going on

export function decideResume(state: RunState, input: InputOf<'resume'>): Event[] | Refusal {
  if (state.phase === 'running') return refuse('conflict', `Run ${state.runId} is running`)
  if (state.phase === 'new') return refuse('not_found', 'There is no such run')
  if (state.phase === 'ended' && !state.resumable)
    return refuse(
      'conflict',
      `Run ${state.runId} ended as ${state.result} and cannot be resumed; \`spanwright retry ${state.runId}\` runs its failed nodes again`,
    )
  return [resumed(state, input)]
}

function resumed(
  state: RunState,
  input: InputOf<'resume'> | InputOf<'retry'>,
): Extract<Event, { type: 'run.resumed' }> {
  const execution = state.execution + 1
  return {
    type: 'run.resumed',
    execution,
    max_parallel: input.max_parallel ?? state.slots.limit,
    links: [state.firstSpanId],
    ...(input.inbound && { inbound: input.inbound }),
    ...(input.type === 'resume' && input.pipeline_hash !== undefined && { pipeline_hash: input.pipeline_hash }),
    ...(state.pipeline.budget && { budget: { ...state.pipeline.budget } }),
    span_id: spanIdOf(state.runId, execution, 'run'),
    parent_span_id: state.firstSpanId,
  }
}

export function decideRetry(state: RunState, input: InputOf<'retry'>): Event[] | Refusal {
  if (state.phase === 'running')
    return refuse('conflict', `Run ${state.runId} is running; it can be retried once it has ended`)
  if (state.phase === 'new') return refuse('not_found', 'There is no such run')
  let nodes: string[]
  if (input.node !== undefined) {
    const node = findNode(state, withoutVisit(input.node))
    if (!node) return refuse('not_found', `Run ${state.runId} has no node ${input.node} that can be retried`)
    if (!isFailing(node.result) && node.result !== 'cancellation')
      return refuse(
        'conflict',
        `${node.path} did not fail (${node.result ?? 'it never ran'}); only failed nodes can be retried`,
      )
    nodes = [node.path]
  } else {
    nodes = failedLeaves(state.root)
    if (nodes.length === 0)
      return refuse(
        'conflict',
        `Run ${state.runId} has no failed node to retry${state.resumable ? `; \`spanwright resume ${state.runId}\` goes on with it` : ''}`,
      )
  }
  return [{ ...resumed(state, input), retry: { nodes, reset_count: input.reset_count, mode: input.mode } }]
}

/** `build@2` and `build@2.1` mean the node `build`. */
const withoutVisit = (text: string): string => pathWithoutVisits(text.replace(/@\d+(?:\.\d+)?$/, ''))

/** The innermost failed nodes (tolerated ones only where there are no others); those downstream of another failed one run again anyway. */
function failedLeaves(scope: Scope): string[] {
  const failing = [...scope.nodes.values()].filter((node) => isFailing(node.result) && !node.route)
  const failed = failing.some((node) => !node.tolerated) ? failing.filter((node) => !node.tolerated) : failing
  const first = failed.filter(
    (node) => !failed.some((other) => other !== node && scope.graph.isDownstream(other.def.id, node.def.id)),
  )
  return first.flatMap((node) => {
    const inner = node.broken || node.checkFailure ? [] : innerScopes(node).flatMap(failedLeaves)
    return inner.length > 0 ? inner : [node.path]
  })
}

function innerScopes(node: NodeState): Scope[] {
  const lanes = [...(node.fanout?.ended.values() ?? [])]
    .sort((a, b) => a.index - b.index)
    .flatMap((branch) => branch.scope ?? [])
  return node.inner ? [node.inner, ...lanes] : lanes
}

// -- ending

/** The process is gone: every open attempt is lost, and the execution has its end (I4). */
export function decideInterrupt(state: RunState, input: InputOf<'interrupt'>): Event[] | Refusal {
  if (state.phase !== 'running') return refuse('stale', `Run ${state.runId} is not running`)
  const lost: Event[] = [...state.attempts.values()].map((node) => ({
    type: 'attempt.lost',
    node: node.path,
    visit: node.visits,
    attempt: node.attempt!.number,
    attempt_id: node.attempt!.id,
    span_id: node.attempt!.spanId,
    failure: failure('worker_lost', 'scheduler', input.message, { attemptId: node.attempt!.id }),
  }))
  return [
    ...lost,
    {
      type: 'run.interrupted',
      execution: state.execution,
      failure: failure('worker_lost', 'scheduler', input.message),
      // Up to the last sign of life: who finds the dead process may come days later.
      duration_ms: Math.max(0, Math.round(state.lastAt - state.startedAt)),
    },
  ]
}

/** A signal or a plain cancel is `canceled`; another process that forces the end fails the run with `forced`. */
export function decideCancel(state: RunState, input: InputOf<'cancel'>, reason?: FailureReport): Event[] | Refusal {
  if (state.phase !== 'running') return refuse('conflict', `Run ${state.runId} is not running`)
  if (state.concluded && !input.force) return refuse('conflict', `Run ${state.runId} is ending already`)
  if (state.cancel && (!input.force || state.cancel.force))
    return refuse('conflict', `Run ${state.runId} is being canceled already`)
  const who =
    input.by.kind === 'signal'
      ? `by ${input.by.signal ?? 'a signal'}`
      : input.by.user
        ? `by ${input.by.user}`
        : 'by request'
  const code = input.force && input.by.kind !== 'signal' ? 'forced' : 'canceled'
  const asked: FailureReport = reason ?? {
    code,
    source: 'user',
    message: input.message ?? (code === 'forced' ? `Ended by force ${who}` : `Canceled ${who}`),
  }
  return [
    {
      type: 'run.cancel_requested',
      by: input.by,
      force: input.force,
      failure: state.cancel?.failure ?? completeFailure(asked),
    },
  ]
}

export function decideGateAnswer(state: RunState, input: InputOf<'gate.answer'>): Event[] | Refusal {
  const node =
    state.gates.get(input.node) ?? [...state.gates.values()].find((gate) => pathWithoutVisits(gate.path) === input.node)
  if (!node) {
    const open = [...state.gates.keys()].slice(0, 20).join(', ')
    return refuse('not_found', `No gate ${input.node} is open${open ? ` (open: ${open})` : ''}`)
  }
  const { choices } = node.gate!
  if (!choices.includes(input.choice))
    return refuse('invalid', `Gate ${node.path} has no choice \`${input.choice}\` (choices: ${choices.join(', ')})`)
  return [
    {
      type: 'gate.answered',
      node: node.path,
      visit: node.visits,
      choice: input.choice,
      by: input.by,
      ...(input.comment !== undefined && { comment: input.comment }),
    },
  ]
}

// -- hooks and the very end

export function decideHookOutcome(state: RunState, input: InputOf<'hook.outcome'>): Event[] | Refusal {
  const command = state.commands.get(input.id)
  if (command?.kind !== 'hook') return refuse('stale', `${input.id} has ended`)
  const cause = input.failure && completeFailure(input.failure)
  const { place } = command
  return [
    {
      type: 'hook.finished',
      ...(place.node !== '' && { node: place.node, visit: place.visit }),
      hook: command.hook,
      name: command.name,
      index: Number(input.id.slice(input.id.lastIndexOf(':') + 1)),
      passed: !cause,
      ...(cause && { failure: hookFailure(command.name, command.hook, cause) }),
      ...(input.process && { process: input.process }),
      duration_ms: input.duration_ms,
      span_id: place.span_id,
    },
  ]
}

export function decideSweepOutcome(state: RunState, input: InputOf<'sweep.outcome'>): Event[] | Refusal {
  if (!state.commands.has('sweep')) return refuse('stale', 'No sweep is pending')
  const { result, failure: reason } = withHooks(state)
  const finished: Event = {
    type: 'run.finished',
    execution: state.execution,
    result,
    ...(reason && { failure: reason }),
    hook_failures: state.hookFailures,
    totals: totalsOf(state),
    children: scopeChildren(state.root),
    duration_ms: Math.max(0, Math.round(input.now - state.startedAt)),
    resumable: isResumable(result, reason),
  }
  return input.ended ? [input.ended, finished] : [finished]
}

/** A failed hook changes no node's result; a run that would be a success is then a failure. */
function withHooks(state: RunState): { result: Result; failure: Failure | undefined } {
  const judged = state.concluded ?? { failure: undefined, ...scopeOutcome(state, state.root) }
  const [first] = state.hookFailures
  if (!first || (judged.result !== 'success' && judged.result !== 'skip'))
    return { result: judged.result, failure: judged.failure }
  const others = state.hookFailures.length > 1 ? ` (and ${state.hookFailures.length - 1} more)` : ''
  return { result: 'failure', failure: { ...first.failure, message: `${first.failure.message}${others}` } }
}

function isResumable(result: Result, reason: Failure | undefined): boolean {
  if (result === 'cancellation') return true
  if (!reason) return false
  return [reason.code, originalCause(reason).code].some((code) => code === 'budget_exhausted' || code === 'worker_lost')
}
