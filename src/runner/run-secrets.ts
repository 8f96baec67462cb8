// Owns: which secrets a run has: what its pipelines declare and params marked secret, with their values.
import type { JsonObject } from '../core/json.ts'
import { asText } from '../core/template.ts'
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
    mask: createMask({ secrets: [...values.values(), ...given], environment: env }),
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
