// Owns: the port through which the core evaluates CEL. The implementation (pipeline/expressions) must be pure: the
// same expression over the same scope gives the same value, or throws an ExpressionError, for ever.
import type { Failure, Result } from './failure.ts'
import type { Json, JsonObject } from './json.ts'

/** What `nodes.<id>` shows. Nulls before the node ran. */
export interface NodeView {
  readonly result: Result | null
  readonly label: string | null
  readonly outputs: JsonObject
  readonly failure: Failure | null
  readonly visits: number
  readonly attempts: number
  /** Id of the latest conversation of its agent. */
  readonly session: string | null
}

/** What an expression may see. Nodes and status are looked up only when asked for, so evaluating stays O(what is used). */
export interface ExpressionScope {
  /** `params env run branch item result label failure` and the names given by `as`. Absent ones are not visible. */
  readonly variables: JsonObject
  /** `nodes.<id>`: own scope, then outward; undefined = no such node. */
  node(id: string): NodeView | undefined
  nodeIds(): readonly string[]
  /** `success()`, `failure()`, `canceled()` over all ancestors by `needs`. */
  status(name: StatusFunction): boolean
}

export const STATUS_FUNCTIONS = ['always', 'success', 'failure', 'canceled'] as const
export type StatusFunction = (typeof STATUS_FUNCTIONS)[number]

export interface Expressions {
  /** Value of a CEL expression (no `${{ }}`). Integral numbers come back as numbers. Throws ExpressionError. */
  evaluate(expression: string, scope: ExpressionScope): Json
}

export class ExpressionError extends Error {
  override readonly name = 'ExpressionError'
}
