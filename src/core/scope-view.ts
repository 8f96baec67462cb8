// Owns: what expressions see of a state (DESIGN 3, Expressions). Everything is looked up when asked for.
import type { ExpressionScope, NodeView, StatusFunction } from './expressions.ts'
import type { Failure, Result } from './failure.ts'
import type { Json, JsonObject } from './json.ts'
import { branchOf, scopesOutward, visibleScopes, type RunState, type Scope } from './state.ts'
import type { NodeState } from './node-state.ts'
import { expressionsIn, fill } from './template.ts'

/** What an expression that belongs to a node's own outcome sees in `result`, `label` and `failure`. */
export interface OutcomeView {
  readonly result: Result
  readonly label: string | undefined
  readonly failure: Failure | undefined
}

interface Seen {
  readonly outcome?: OutcomeView | undefined
  readonly extra?: JsonObject | undefined
}

/**
 * @param node whose needs `success()` … judge; absent = the scope itself
 * @param outcome visible as `result label failure` (routes, hooks, checks)
 * @param extra more names, e.g. `item` of a branch that is being made
 */
export function expressionScope(
  state: RunState,
  scope: Scope,
  node: NodeState | undefined,
  { outcome, extra }: Seen = {},
): ExpressionScope {
  return {
    variables: variablesOf(state, scope, node, { outcome, extra }),
    node: (id) => {
      const found = lookUp(scope, id)
      return found && viewOf(found)
    },
    nodeIds: () => [...visibleScopes(scope)].flatMap((at) => [...at.nodes.keys()]),
    status: (name) => statusOf(state, node, name),
  }
}

// Declared `env:` values may use params and the like; they are filled without `env` itself, so there is no recursion.
function variablesOf(
  state: RunState,
  scope: Scope,
  node: NodeState | undefined,
  { outcome, extra = {} }: Seen,
): JsonObject {
  const branch = branchOf(scope)
  const variables: Record<string, Json> = {
    params: scope.params,
    run: {
      id: state.runId,
      name: state.pipeline.name,
      key: state.key ?? null,
      labels: state.labels,
      trace_id: state.traceId,
      execution: state.execution,
    },
  }
  for (const at of [...scopesOutward(scope)].reverse()) {
    if (!at.branch) continue
    const as = at.owner?.def.kind === 'fanout' ? at.owner.def.fanout.as : undefined
    if (as !== undefined && at.branch.item !== undefined) variables[as] = at.branch.item
  }
  if (branch) variables['branch'] = { key: branch.key, index: branch.index }
  if (branch?.item !== undefined) variables['item'] = branch.item
  if (outcome) {
    variables['result'] = outcome.result
    variables['label'] = outcome.label ?? null
    variables['failure'] = (outcome.failure as Json | undefined) ?? null
  }
  Object.assign(variables, extra)
  Object.defineProperty(variables, 'env', { enumerable: true, get: () => declaredEnv(state, scope, node, variables) })
  return variables
}

function declaredEnv(state: RunState, scope: Scope, node: NodeState | undefined, variables: JsonObject): Json {
  const templates: Record<string, string> = {}
  for (const at of [...scopesOutward(scope)].reverse()) Object.assign(templates, at.pipeline.env)
  Object.assign(templates, node?.def.env)
  // By name: to list the values would ask for `env` itself.
  const names = Object.keys(variables).filter((name) => name !== 'env')
  const plain = Object.fromEntries(names.map((name) => [name, variables[name]!]))
  const inner: ExpressionScope = { ...expressionScope(state, scope, node), variables: { ...plain, env: {} } }
  const inputs = Object.fromEntries(
    [...expressionsIn(templates)].map((source) => [source, state.expressions.evaluate(source, inner)]),
  )
  return fill(templates, inputs)
}

function lookUp(scope: Scope, id: string): NodeState | undefined {
  for (const at of visibleScopes(scope)) {
    const node = at.nodes.get(id)
    if (node) return node
  }
  return undefined
}

function viewOf(node: NodeState): NodeView {
  const done = node.phase === 'done' || node.phase === 'routing'
  return {
    result: done ? (node.result ?? null) : null,
    label: done ? (node.label ?? null) : null,
    outputs: done ? outputsOf(node) : {},
    failure: done ? (node.failure ?? null) : null,
    visits: node.visits,
    attempts: node.attemptsTotal,
    session: node.memory.session ?? null,
  }
}

/** A fan-out's outputs are made from its branches, never stored a second time. */
export function outputsOf(node: NodeState): JsonObject {
  if (!node.fanout) return node.outputs ?? {}
  const { fanout } = node
  const branches = [...fanout.ended.values()].sort((a, b) => a.index - b.index)
  return {
    branches: branches.map(({ key, index, result, outputs, failure }) => ({
      key,
      index,
      result,
      outputs,
      failure: (failure as Json | undefined) ?? null,
    })),
    total: fanout.total ?? 0,
    succeeded: fanout.succeeded,
    failed: fanout.failed,
    canceled: fanout.canceledCount,
    skipped: fanout.skipped + (fanout.total ?? 0) - fanout.next,
    retried: fanout.retried,
  }
}

function statusOf(state: RunState, node: NodeState | undefined, name: StatusFunction): boolean {
  if (name === 'always') return true
  const needs = node ? node.def.needs.map((id) => node.scope.nodes.get(id)!) : []
  const failed = needs.some((need) => need.failed !== undefined)
  const canceled = state.cancel !== undefined || needs.some((need) => need.canceled)
  switch (name) {
    case 'success':
      return !failed && !canceled
    case 'failure':
      return failed
    case 'canceled':
      return canceled
  }
}
