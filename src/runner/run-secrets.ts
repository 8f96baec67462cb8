// Owns: which secrets a run has: what its pipelines declare, params marked secret, and the keys that its agents are told to
// take from a variable, with their values.
import type { JsonObject } from '../core/json.ts'
import { asText } from '../core/template.ts'
import type { AgentChoice } from '../core/agent.ts'
import type { Node, Pipeline } from '../core/pipeline.ts'
import { createMask, type Mask } from '../journal/masking.ts'

export interface RunSecrets {
  /** Of the declared secrets, those with a value. */
  readonly values: ReadonlyMap<string, string>
  /** All declared ones: none of them is inherited by a child that does not list it. */
  readonly names: readonly string[]
  readonly secretParams: readonly string[]
  readonly mask: Mask
}

/** @param params of the run; values of secret ones that are absent (a takeover) cannot be masked, nor are they needed. */
export function secretsOf(pipeline: Pipeline, params: JsonObject, env: NodeJS.ProcessEnv): RunSecrets {
  const names = [...declared(pipeline)]
  const values = new Map(names.flatMap((name) => (env[name] ? [[name, env[name]] as const] : [])))
  const secretParams = Object.entries(pipeline.params)
    .filter(([, param]) => param.secret)
    .map(([name]) => name)
  const given = secretParams.flatMap((name) => (params[name] === undefined ? [] : [asText(params[name])]))
  return {
    values,
    names,
    secretParams,
    mask: createMask({
      secrets: [...values.values(), ...given, ...agentKeys(pipeline, env)],
      environment: env,
    }),
  }
}

/** Endpoints that want no key are given a word such as `none`; masking that would only hide what was said. */
const SHORTEST_KEY = 8

/** Whatever the variable is called: `api_key_env` says that it holds a key. */
function agentKeys(pipeline: Pipeline, env: NodeJS.ProcessEnv): string[] {
  return [...choicesOf(pipeline)].flatMap(({ api_key_env: name }) => {
    const key = name === undefined ? undefined : env[name]
    return key !== undefined && key.length >= SHORTEST_KEY ? [key] : []
  })
}

function* choicesOf({ nodes, summaries }: Pipeline): Generator<AgentChoice> {
  if (summaries) yield summaries.agent
  yield* choicesIn(nodes)
}

function* choicesIn(nodes: readonly Node[]): Generator<AgentChoice> {
  for (const node of nodes) {
    if (node.kind === 'agent') {
      yield node.agent
      yield* node.agent.fallback
      if (node.agent.escalate) yield node.agent.escalate
    } else if (node.kind === 'child') yield* choicesOf(node.child.pipeline)
    else if (node.kind === 'fanout') {
      yield* choicesIn(node.fanout.nodes)
      if ('branches' in node.fanout.over)
        for (const lane of Object.values(node.fanout.over.branches)) yield* choicesIn(lane)
    }
  }
}

function declared(pipeline: Pipeline, found = new Set<string>()): Set<string> {
  for (const name of pipeline.secrets) found.add(name)
  declaredIn(pipeline.nodes, found)
  return found
}

function declaredIn(nodes: readonly Node[], found: Set<string>): void {
  for (const node of nodes) {
    if (node.kind === 'child') declared(node.child.pipeline, found)
    if (node.kind !== 'fanout') continue
    declaredIn(node.fanout.nodes, found)
    if ('branches' in node.fanout.over)
      for (const lane of Object.values(node.fanout.over.branches)) declaredIn(lane, found)
  }
}
