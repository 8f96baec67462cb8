// Owns: evaluating CEL for the core (its Expressions port): JSON in, JSON out, only what an expression reads is
// converted. Pure: no clock, no randomness, nothing remembered but compiled programs.
import { UnsignedInt, Duration } from '@marcbachmann/cel-js/evaluator'
import {
  ExpressionError,
  type Expressions,
  type ExpressionScope,
  type NodeView,
  type StatusFunction,
} from '../core/expressions.ts'
import type { Json } from '../core/json.ts'
import { compile, withScope, type CompileError, type Reference, type Uses } from './cel.ts'

const INT64_MAX = 9_223_372_036_854_775_807n
const SHOWN_CHARS = 200
const ALL: Uses = { all: true, fields: new Map() }

/** The evaluator: `evaluate(expression, scope)` gives the value as JSON or throws an ExpressionError naming both. */
export const celExpressions: Expressions = {
  evaluate(expression, scope) {
    const compiled = compile(expression)
    const { program, error, uses } = compiled
    if (!program) throw new ExpressionError(says(expression, error!.message))
    try {
      const context = contextOf(uses, scope) as never
      return toJson(compiled.calls.length === 0 ? program(context) : withScope(scope, () => program(context)))
    } catch (cause) {
      throw new ExpressionError(says(expression, reasonOf(cause)), { cause })
    }
  },
}

function contextOf(uses: ReadonlyMap<string, Uses>, scope: ExpressionScope): Map<string, unknown> {
  const context = new Map<string, unknown>()
  for (const [name, use] of uses) {
    if (name === 'nodes') context.set(name, nodesValue(scope, use))
    else if (Object.hasOwn(scope.variables, name)) context.set(name, toCel(scope.variables[name]!, use))
  }
  return context
}

export interface ExpressionFacts {
  readonly error?: CompileError | undefined
  /** Static type: `bool`, `string`, `dyn` … */
  readonly type?: string | undefined
  readonly calls: readonly StatusFunction[]
  /** Ids of nodes named literally. */
  readonly nodeIds: readonly string[]
  /** Variables read, without those that CEL macros bind. */
  readonly variables: readonly string[]
  readonly references: readonly Reference[]
}

/** What can be said of an expression without evaluating it. Never throws. */
export function checkExpression(source: string): ExpressionFacts {
  const { error, type, calls, references } = compile(source)
  const nodeIds = new Set(references.filter((r) => r.root === 'nodes' && r.path.length > 0).map((r) => r.path[0]!))
  return {
    error,
    type,
    calls,
    nodeIds: [...nodeIds],
    variables: [...new Set(references.map((r) => r.root))],
    references,
  }
}

function says(expression: string, reason: string): string {
  const shown = expression.length > SHOWN_CHARS ? `${expression.slice(0, SHOWN_CHARS)}…` : expression
  return `expression \`${shown}\`: ${reason}`
}

function reasonOf(error: unknown): string {
  if (error instanceof ExpressionError) return error.message
  const summary = (error as { summary?: string }).summary ?? (error instanceof Error ? error.message : String(error))
  const key = /^No such key: (.*)$/.exec(summary)
  if (key && !key[1]!.startsWith('index ')) return `there is no \`${key[1]}\`; ask has() first for what may be absent`
  const variable = /^Unknown variable: (.*)$/.exec(summary)
  if (variable) return `\`${variable[1]}\` is not known here`
  return summary
}

/** JSON objects become Maps: any key is safe in them, also `__proto__` and `constructor`. */
function toCel(value: Json, uses: Uses): unknown {
  if (typeof value === 'number') return integral(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => toCel(item as Json, ALL))
  const object = value as { readonly [key: string]: Json }
  const map = new Map<string, unknown>()
  if (uses.all) {
    for (const key of Object.keys(object)) map.set(key, toCel(object[key]!, ALL))
  } else {
    for (const [key, use] of uses.fields) if (Object.hasOwn(object, key)) map.set(key, toCel(object[key]!, use))
  }
  return map
}

/** Integral numbers are ints as long as an int can hold them; the double's exact value is kept. */
function integral(value: number): number | bigint {
  if (!Number.isInteger(value)) return value
  const int = BigInt(value)
  return int > INT64_MAX || int < -INT64_MAX ? value : int
}

function nodesValue(scope: ExpressionScope, uses: Uses): Map<string, unknown> {
  if (uses.all) return new LazyNodes(scope)
  const map = new Map<string, unknown>()
  for (const [id, use] of uses.fields) {
    const view = scope.node(id)
    if (!view) throw new ExpressionError(noSuchNode(id))
    map.set(id, toCel(view as NodeView & { readonly [key: string]: Json }, use))
  }
  return map
}

const noSuchNode = (id: string): string => `there is no node \`${id}\` in this scope or around it`

/** `nodes` as a whole or by a computed id: views are made when asked for. CEL knows maps by their constructor. */
class LazyNodes extends Map<string, unknown> {
  readonly #scope: ExpressionScope
  constructor(scope: ExpressionScope) {
    super()
    this.#scope = scope
  }
  override get(id: string): unknown {
    const view = this.#scope.node(id)
    if (!view) throw new ExpressionError(noSuchNode(id))
    return toCel(view as NodeView & { readonly [key: string]: Json }, ALL)
  }
  override has(id: string): boolean {
    return this.#scope.node(id) !== undefined
  }
  override get size(): number {
    return this.#scope.nodeIds().length
  }
  override keys(): MapIterator<string> {
    return this.#scope.nodeIds()[Symbol.iterator]()
  }
  override *entries(): MapIterator<[string, unknown]> {
    for (const id of this.#scope.nodeIds()) yield [id, this.get(id)]
  }
  override [Symbol.iterator](): MapIterator<[string, unknown]> {
    return this.entries()
  }
}
Object.defineProperty(LazyNodes.prototype, 'constructor', { value: Map })

function toJson(value: unknown): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'bigint': {
      const number = Number(value)
      if (BigInt(number) === value) return number
      throw new ExpressionError(`the integer ${value} has no exact JSON number; make it text with string()`)
    }
    case 'number':
      if (Number.isFinite(value)) return value
      throw new ExpressionError(`the result is ${value}, which JSON cannot hold`)
    default:
      return objectToJson(value)
  }
}

function objectToJson(value: unknown): Json {
  if (value === null) return null
  if (Array.isArray(value)) return value.map(toJson)
  if (value instanceof Set) return [...value].map(toJson)
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), toJson(item)]))
  if (value instanceof Date) return value.toISOString()
  if (value instanceof UnsignedInt) return toJson(value.valueOf())
  if (value instanceof Duration) return value.toString()
  if (typeof value === 'object' && [Object, undefined].includes(value.constructor as never)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]))
  }
  throw new ExpressionError('the result is not a JSON value (bytes and types are not)')
}
