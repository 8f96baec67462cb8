// Owns: the way from a valid pipeline file to the model of core/pipeline.ts: defaults and implicit needs written out,
// durations in milliseconds. Must not: find problems; what comes here has passed every rule.
import { parseDuration } from '../core/duration.ts'
import type { StatusFunction } from '../core/expressions.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import {
  ATTEMPT_KINDS,
  type Budget,
  type Fanout,
  type Gate,
  type Join,
  type Node,
  type NodeBase,
  type Param,
  type Pipeline,
  type Retry,
} from '../core/pipeline.ts'
import { expressionsIn } from '../core/template.ts'
import { agentExpressions, agentOf, choiceOf } from './agent-of.ts'
import { commandOf, checksOf, hooksOf, type Shell } from './commands-of.ts'
import { checkExpression } from './expressions.ts'
import { conditionOf } from './expression-sites.ts'
import { DECISION_RETRY, retryOf } from './retry-of.ts'
import type { NodeFile } from './schema-node.ts'
import type { PipelineFile } from './schema.ts'
import type { Path } from './yaml-source.ts'

/** What stands in other files, by the path of the node (`pathKey`). */
export interface Embedded {
  readonly prompts: ReadonlyMap<string, string>
  readonly children: ReadonlyMap<string, Pipeline>
}

export const pathKey = (path: Path): string => path.map(String).join('/')

type FanoutFile = NonNullable<NodeFile['fanout']>
interface Context {
  readonly defaults: NonNullable<PipelineFile['defaults']>
  readonly embedded: Embedded
}

/** The pipeline of a valid file. */
export function normalize(file: PipelineFile, embedded: Embedded): Pipeline {
  const defaults = file.defaults ?? {}
  return compact({
    name: file.name,
    description: file.description,
    params: mapValues(file.params ?? {}, paramOf),
    secrets: file.secrets ?? [],
    env: defaults.env ?? {},
    budget: budgetOf(file.budget),
    breaker: { limit: file.breaker?.limit ?? LIMITS.breaker },
    max_parallel: file.max_parallel ?? LIMITS.maxParallel,
    on_failure: file.on_failure ?? 'continue',
    hooks: hooksOf(file.hooks, 'sh'),
    summaries: file.summaries && { agent: choiceOf(file.summaries.agent.use, file.summaries.agent, 'sh') },
    prices: file.prices,
    outputs: file.outputs,
    nodes: nodesOf(file.nodes, ['nodes'], { defaults, embedded }),
  })
}

function paramOf(param: NonNullable<PipelineFile['params']>[string]): Param {
  return compact({ ...param, required: param.required ?? param.default === undefined }) as Param
}

function nodesOf(files: readonly NodeFile[], path: Path, context: Context): Node[] {
  let above: string | undefined
  return files.map((file, index) => {
    const implicit = file.routed || above === undefined ? [] : [above]
    if (!file.routed) above = file.id
    return nodeOf(file, file.needs ?? implicit, [...path, index], context)
  })
}

function nodeOf(file: NodeFile, needs: readonly string[], path: Path, context: Context): Node {
  const action = actionOf(file, path, context)
  const attempts = ATTEMPT_KINDS.includes(action.kind)
  const { defaults } = context
  const shell: Shell = file.shell ?? 'sh'
  const env = file.env ?? {}
  const base: NodeBase = {
    id: file.id,
    description: file.description,
    needs: [...new Set(needs)],
    when: whenOf(file.when),
    routes: (file.routes ?? []).map((route) => compact({ when: routeWhenOf(route.when), to: route.to })),
    routed: file.routed ?? false,
    retry: retryOfNode(file, action.kind, context),
    timeout_ms: ms(file.timeout) ?? (attempts ? (ms(defaults.timeout) ?? LIMITS.attemptTimeoutMs) : undefined),
    stall_timeout_ms: stallOf(file.stall_timeout, action.kind),
    grace_ms: ms(file.grace) ?? LIMITS.graceMs,
    checks: checksOf(file.checks, shell),
    outputs: file.outputs,
    env,
    secrets: file.secrets ?? [],
    cwd: file.cwd,
    hooks: hooksOf(file.hooks, shell),
    decision: file.decision,
    goal_gate: file.goal_gate ?? false,
    allow_failure: file.allow_failure ?? false,
    budget: budgetOf(file.budget),
    max_visits: file.max_visits ?? LIMITS.visits,
    leave_running: file.leave_running ?? false,
    expressions: [...new Set([...action.expressions, ...expressionsIn([env, file.cwd ?? ''])])],
  }
  const { expressions: _, ...kind } = action
  return compact({ ...base, ...kind }) as Node
}

/** An agent that gave no valid label is told so and asked again; commands are only repeated where the pipeline says so. */
function retryOfNode(file: NodeFile, kind: Node['kind'], { defaults }: Context): Retry {
  if (!ATTEMPT_KINDS.includes(kind)) return retryOf('none')
  const given = file.retry ?? defaults.retry
  if (given !== undefined) return retryOf(given)
  return kind === 'agent' && file.decision ? DECISION_RETRY : retryOf('none')
}

type Action = Node extends infer N
  ? N extends Node
    ? Omit<N, keyof NodeBase> & { readonly expressions: readonly string[] }
    : never
  : never

/** The part of a node that its kind is made of, with the expressions to evaluate when it starts. */
function actionOf(file: NodeFile, path: Path, context: Context): Action {
  const { embedded } = context
  if (file.run !== undefined) {
    const run = commandOf(file.run, file.shell ?? 'sh')
    const expressions = 'argv' in run ? [...expressionsIn(run.argv)] : run.bindings.map((binding) => binding.expression)
    return { kind: 'run', run, expressions }
  }
  if (file.agent) {
    const prompt = embedded.prompts.get(pathKey(path))
    const agent = agentOf(file.agent, prompt, file.shell ?? 'sh')
    return { kind: 'agent', agent, expressions: [...agentExpressions(agent)] }
  }
  if (file.call) return { kind: 'call', call: { name: file.call.name }, expressions: [] }
  if (file.fanout) {
    const fanout = fanoutOf(file.fanout, [...path, 'fanout'], context)
    return { kind: 'fanout', fanout, expressions: 'branches' in fanout.over ? [] : [...expressionsIn(fanout.over)] }
  }
  if (file.gate) return { kind: 'gate', gate: gateOf(file.gate), expressions: [...expressionsIn(file.gate.question)] }
  if (file.child) {
    const params = (file.child.params ?? {}) as JsonObject
    const pipeline = embedded.children.get(pathKey(path))
    if (!pipeline) throw new Error(`child pipeline of ${file.id} was not loaded`)
    return {
      kind: 'child',
      child: { file: file.child.file, pipeline, params },
      expressions: [...expressionsIn(params)],
    }
  }
  const wait = file.wait?.for !== undefined ? { for: file.wait.for } : { until: file.wait?.until ?? '' }
  return { kind: 'wait', wait, expressions: [...expressionsIn(wait)] }
}

/** Without a status function, an expression is tried only when nothing before it failed. */
function whenOf(when: string | boolean | undefined): NodeBase['when'] {
  if (when === undefined) return undefined
  const source = typeof when === 'boolean' ? String(when) : conditionOf(when)
  const { calls } = checkExpression(source)
  if (calls.length > 0) return { expression: source, calls }
  const close = source.includes('//') ? '\n)' : ')' // a comment must not swallow the parenthesis
  return { expression: `success() && (${source}${close}`, calls: ['success'] satisfies StatusFunction[] }
}

const routeWhenOf = (when: string | boolean | undefined): string | undefined =>
  when === undefined ? undefined : typeof when === 'boolean' ? String(when) : conditionOf(when)

function stallOf(given: string | undefined, kind: Node['kind']): number | undefined {
  if (given === 'off') return undefined
  return ms(given) ?? (kind === 'agent' ? LIMITS.agentStallMs : undefined)
}

function fanoutOf(file: FanoutFile, path: Path, context: Context): Fanout {
  const workspace = file.workspace ?? 'shared'
  return compact({
    over: overOf(file, path, context),
    as: file.as,
    key: file.key,
    max_parallel: file.max_parallel,
    join: joinOf(file.join),
    on_failure: file.on_failure ?? 'continue',
    workspace,
    merge: file.merge ?? (workspace === 'worktree' ? 'all' : 'none'),
    nodes: file.branches ? [] : nodesOf(file.nodes ?? [], [...path, 'nodes'], context),
  })
}

function overOf(file: FanoutFile, path: Path, context: Context): Fanout['over'] {
  if (file.each !== undefined) return { each: file.each as Json }
  if (file.count !== undefined) return { count: file.count }
  if (file.branches) {
    const branches = Object.entries(file.branches)
    return {
      branches: Object.fromEntries(
        branches.map(([key, nodes]) => [key, nodesOf(nodes, [...path, 'branches', key], context)]),
      ),
    }
  }
  const { include = [], exclude = [], ...matrix } = (file.matrix ?? {}) as { [axis: string]: Json }
  return { matrix, include, exclude }
}

function joinOf(join: FanoutFile['join']): Join {
  if (join === undefined || typeof join === 'string') return { kind: join ?? 'all' }
  return 'at_least' in join ? { kind: 'at_least', count: join.at_least } : { kind: 'quorum', share: join.quorum }
}

function gateOf(file: NonNullable<NodeFile['gate']>): Gate {
  const choices = file.choices ?? ['approve', 'reject']
  return compact({
    question: file.question,
    choices,
    reject: file.reject ?? choices.filter((choice) => choice === 'reject'),
    timeout_ms: ms(file.timeout),
    default: file.default,
  })
}

function budgetOf(file: PipelineFile['budget']): Budget | undefined {
  if (!file) return undefined
  const { time, mode, ...rest } = file
  return compact({ ...rest, time_ms: ms(time), mode: mode ?? 'enforce' })
}

const ms = (duration: string | undefined): number | undefined =>
  duration === undefined ? undefined : parseDuration(duration)

/** Without the keys whose value is undefined, so that the value is the same after a round trip through JSON. */
function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T
}

function mapValues<A, B>(record: { readonly [key: string]: A }, map: (value: A) => B): { [key: string]: B } {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))
}
