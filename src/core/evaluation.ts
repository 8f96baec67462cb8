// Owns: evaluating what a definition holds at the moment it is used, with a failure instead of an exception. The
// values are recorded (`inputs`), so nothing is ever evaluated twice with two results.
import { expressionScope, type OutcomeView } from './scope-view.ts'
import type { Failure } from './failure.ts'
import { failure } from './failures.ts'
import type { Json, JsonObject } from './json.ts'
import { LIMITS } from './limits.ts'
import type { CommandLine } from './pipeline.ts'
import { scopesOutward, type RunState, type Scope } from './state.ts'
import type { NodeState } from './node-state.ts'
import { asText, expressionsIn } from './template.ts'

export type Evaluated<T> =
  | { readonly value: T; readonly failure?: undefined }
  | { readonly failure: Failure; readonly value?: undefined }

export interface Site {
  readonly scope: Scope
  readonly node: NodeState | undefined
  readonly outcome?: OutcomeView | undefined
  readonly extra?: JsonObject | undefined
  /** Where it stands, for messages: `when of node deploy`. */
  readonly what: string
}

/** Values of expressions by their source. */
export function evaluateAll(state: RunState, site: Site, sources: Iterable<string>): Evaluated<JsonObject> {
  const inputs: Record<string, Json> = {}
  let bytes = 0
  for (const source of sources) {
    const evaluated = evaluate(state, site, source)
    if (evaluated.failure) return evaluated
    const size = asText(evaluated.value).length
    bytes += size + source.length
    if (size > LIMITS.expressionBytes || bytes > LIMITS.entryBytes - 32 * 1024) {
      return {
        failure: configInvalid(
          `${site.what}: the value of \${{ ${source} }} is too long (${size} characters); write it to a file and pass the path`,
        ),
      }
    }
    inputs[source] = evaluated.value
  }
  return { value: inputs }
}

export function evaluate(state: RunState, site: Site, source: string): Evaluated<Json> {
  try {
    const scope = expressionScope(state, site.scope, site.node, { outcome: site.outcome, extra: site.extra })
    return { value: state.expressions.evaluate(source, scope) }
  } catch (error) {
    return { failure: configInvalid(`${site.what}: ${error instanceof Error ? error.message : String(error)}`) }
  }
}

/** Whether a condition holds; it has to be a boolean. */
export function holds(state: RunState, site: Site, source: string): Evaluated<boolean> {
  const evaluated = evaluate(state, site, source)
  if (evaluated.failure) return evaluated
  if (typeof evaluated.value === 'boolean') return { value: evaluated.value }
  return {
    failure: configInvalid(
      `${site.what}: \`${source}\` is ${JSON.stringify(evaluated.value)?.slice(0, 80)}, not true or false`,
    ),
  }
}

export const configInvalid = (message: string): Failure => failure('config_invalid', 'scheduler', message)

/** The expressions of a command of a check or hook, and of the environment around it. */
export function commandExpressions(run: CommandLine, scope: Scope, node: NodeState | undefined): Set<string> {
  const sources = 'argv' in run ? expressionsIn(run.argv) : new Set(run.bindings.map((binding) => binding.expression))
  return environmentExpressions(scope, node, sources)
}

export function environmentExpressions(
  scope: Scope,
  node: NodeState | undefined,
  sources: Set<string> = new Set(),
): Set<string> {
  for (const at of scopesOutward(scope)) if (at.kind !== 'branch') expressionsIn(at.pipeline.env, sources)
  if (node) {
    expressionsIn(node.def.env, sources)
    expressionsIn(node.def.cwd, sources)
  }
  return sources
}
