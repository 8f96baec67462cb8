// Owns: the pending commands of a state and how they are made from nodes. Only evolve calls it.
import type { Command, Place, RunAttempt, RunCheck, RunHook, RunSummary, Stop } from './commands.ts'
import { visitId } from './ids.ts'
import { branchOf, scopesOutward, type RunState, type Scope } from './state.ts'
import type { NodeState } from './node-state.ts'

export function addCommand(state: RunState, command: Command): void {
  state.commands.set(command.id, command)
  state.dirty.add(command.id)
}

export function dropCommand(state: RunState, id: string): void {
  if (state.commands.delete(id)) state.dirty.add(id)
}

const isStep = (command: Command): command is RunAttempt | RunCheck | RunHook | RunSummary =>
  command.kind === 'attempt' || command.kind === 'check' || command.kind === 'hook' || command.kind === 'summary'

/** Tells a pending attempt, check, hook or summary to end. */
export function stopCommand(state: RunState, id: string, stop: Stop): void {
  const command = state.commands.get(id)
  if (command && isStep(command)) addCommand(state, { ...command, stop })
}

export const timerId = {
  retry: (node: NodeState): string => `retry:${visitId(node.path, node.visits)}`,
  wait: (node: NodeState): string => `wait:${visitId(node.path, node.visits)}`,
  timeout: (node: NodeState): string => `timeout:${visitId(node.path, node.visits)}`,
  gate: (node: NodeState): string => `gate:${visitId(node.path, node.visits)}`,
  limit: (attemptId: string): string => `limit:${attemptId}`,
  budget: (scope: string): string => `budget:${scope}`,
  cancel: 'cancel',
} as const

export const checkId = (owner: string, index: number): string => `${owner}#check:${index}`
export const summaryId = (node: NodeState): string => `${visitId(node.path, node.visits)}#summary`
export const hookId = (owner: string, hook: string, index: number): string => `${owner}#${hook}:${index}`

/** Everything that must not be waited for once a visit is over. */
export function dropTimers(state: RunState, node: NodeState): void {
  for (const id of [timerId.retry(node), timerId.wait(node), timerId.timeout(node), timerId.gate(node)])
    dropCommand(state, id)
}

/** The time of a visit without attempts. */
export function setTimeoutTimer(state: RunState, node: NodeState): void {
  if (node.timeoutAt !== undefined) addCommand(state, { kind: 'timer', id: timerId.timeout(node), due: node.timeoutAt })
}

export function askGate(state: RunState, node: NodeState): void {
  addCommand(state, {
    kind: 'gate',
    id: `ask:${timerId.gate(node)}`,
    node: node.path,
    question: node.gate!.question,
    choices: node.gate!.choices,
  })
  if (node.dueAt !== undefined) addCommand(state, { kind: 'timer', id: timerId.gate(node), due: node.dueAt })
}

/** Where something runs: for a node, or (without one) for the run's own hooks. */
export function placeOf(state: RunState, scope: Scope, node: NodeState | undefined, spanId: string): Place {
  const env: { readonly [name: string]: string }[] = []
  let pipeline = undefined
  for (const at of scopesOutward(scope)) {
    if (at.pipeline !== pipeline) env.unshift(at.pipeline.env)
    pipeline = at.pipeline
  }
  const branch = branchOf(scope)
  return {
    node: node?.path ?? '',
    visit: node?.visits ?? 0,
    branch: branch && { key: branch.key, index: branch.index },
    env: node ? [...env, node.def.env] : env,
    secrets: node?.def.secrets ?? scope.pipeline.secrets,
    cwd: node?.def.cwd,
    trace_id: state.traceId,
    span_id: spanId,
    trace_state: state.inbound?.trace_state,
    baggage: state.inbound?.baggage,
    sampled: true,
  }
}
