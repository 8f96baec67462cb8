// Owns: the cheap test that a parsed value is an event. It is derived once from the zod schema, whose own parse would
// more than double the time of reading a journal. Must not: know any event by name.
import { z } from 'zod'
import { eventSchema } from '../core/events.ts'

type Check = (value: unknown) => boolean
const anything: Check = () => true
const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const CHECKS: ReadonlyMap<string, Check> = new Map(
  eventSchema.options.map((option) => [option.shape.type.value, compile(option)]),
)

/** What is wrong with a parsed JSON value as an event; undefined when nothing is. `strict` asks zod itself. */
export function eventProblem(value: unknown, strict: boolean): string | undefined {
  const type = isObject(value) ? value['type'] : undefined
  if (typeof type !== 'string') return 'it has no event with a type'
  const check = CHECKS.get(type)
  if (!check) return `its event type ${JSON.stringify(type.slice(0, 80))} is unknown`
  if (!strict && check(value)) return undefined
  // zod has the last word, and says what is wrong.
  const issue = eventSchema.safeParse(value).error?.issues[0]
  return issue && `its event ${type} is malformed at ${issue.path.join('.') || 'the top'}: ${issue.message}`
}

function compile(schema: z.core.$ZodType): Check {
  const def = (schema as z.core.$ZodTypes)._zod.def
  switch (def.type) {
    case 'string':
      return (value) => typeof value === 'string'
    case 'number':
      return (value) => typeof value === 'number' && Number.isFinite(value)
    case 'boolean':
      return (value) => typeof value === 'boolean'
    case 'literal':
      return oneOf(def.values)
    case 'enum':
      return oneOf(Object.values(def.entries))
    case 'optional': {
      const inner = compile(def.innerType)
      return (value) => value === undefined || inner(value)
    }
    case 'nullable': {
      const inner = compile(def.innerType)
      return (value) => value === null || inner(value)
    }
    case 'array': {
      const item = compile(def.element)
      return item === anything ? Array.isArray : (value) => Array.isArray(value) && value.every(item)
    }
    case 'record': {
      const item = compile(def.valueType)
      return item === anything ? isObject : (value) => isObject(value) && Object.values(value).every(item)
    }
    case 'object':
      return compileObject(def.shape)
    case 'lazy':
      return compileLazy(def.getter)
    default:
      return (value) => z.safeParse(schema, value).success
  }
}

function oneOf(values: readonly unknown[]): Check {
  if (values.length === 1) return (value) => value === values[0]
  const set = new Set(values)
  return (value) => set.has(value)
}

function compileObject(shape: z.core.$ZodShape): Check {
  const keys = Object.keys(shape)
  const checks = keys.map((key) => compile(shape[key]!))
  return (value) => {
    if (!isObject(value)) return false
    for (let i = 0; i < keys.length; i++) if (!checks[i]!(value[keys[i]!])) return false
    return true
  }
}

/** Recursive schemas: `z.json()`, which everything that JSON.parse gives satisfies, and failures. */
function compileLazy(getter: () => z.core.$ZodType): Check {
  const inner = getter()
  if (inner._zod.def.type === 'union') return anything
  let check: Check | undefined
  return (value) => (check ??= compile(inner))(value)
}
