// Owns: reading the values of params from the command line, a file and their defaults, by declared type.
import { SpanwrightError } from '../core/error.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { Param, Pipeline } from '../core/pipeline.ts'
import { didYouMean } from './diagnostic.ts'

/** Whether a value is of a param's type. */
export function isOfType(value: Json, type: string): boolean {
  switch (type) {
    case 'integer':
      return Number.isSafeInteger(value)
    case 'number':
      return typeof value === 'number' && Number.isFinite(value)
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isJsonObject(value)
    default:
      return typeof value === type
  }
}

/**
 * The params of a run: `cli` (`name=value` each, read by the declared type: text as it is, numbers, `true`/`false`,
 * JSON for arrays and objects, `a,b` for arrays of text) before `file` before defaults. Optional params that nobody
 * gave are null. Throws `params.invalid` with all problems in `details`.
 */
export function readParams(
  declared: Pipeline['params'],
  given: { cli?: readonly string[]; file?: JsonObject | undefined },
): JsonObject {
  const problems: string[] = []
  const values = new Map<string, Json>()
  const known = (name: string): Param | undefined => {
    if (Object.hasOwn(declared, name)) return declared[name]
    problems.push(
      `unknown param \`${name}\`${didYouMean(name, Object.keys(declared)) || listOf(Object.keys(declared))}`,
    )
    return undefined
  }
  for (const [name, value] of Object.entries(given.file ?? {})) {
    const param = known(name)
    if (param) accept({ name, param, value, problems, values })
  }
  for (const text of given.cli ?? []) {
    const split = text.indexOf('=')
    if (split < 1) {
      problems.push(`--param ${text}: expected name=value`)
      continue
    }
    const name = text.slice(0, split)
    const param = known(name)
    const value = param && fromText(text.slice(split + 1), param.type)
    if (param) accept({ name, param, value, problems, values, text: text.slice(split + 1) })
  }
  for (const [name, param] of Object.entries(declared)) {
    if (values.has(name)) continue
    if (param.default !== undefined) values.set(name, param.default)
    else if (!param.required) values.set(name, null)
    else if (!problems.some((problem) => problem.startsWith(`param \`${name}\``)))
      problems.push(`param \`${name}\` is missing: give --param ${name}=<${param.type}>`)
  }
  if (problems.length > 0) {
    const message = problems.length === 1 ? problems[0]! : `${problems.length} problems with params: ${problems[0]!} …`
    throw new SpanwrightError('params.invalid', message, { details: problems })
  }
  return Object.fromEntries(values)
}

interface Given {
  readonly name: string
  readonly param: Param
  readonly value: Json | undefined
  readonly problems: string[]
  readonly values: Map<string, Json>
  /** As written on the command line. */
  readonly text?: string
}

function accept({ name, param, value, problems, values, text }: Given): void {
  const shown = param.secret ? '' : `, found ${(text ?? JSON.stringify(value)).slice(0, 80)}`
  if (value === undefined || !isOfType(value, param.type)) {
    problems.push(`param \`${name}\` must be ${NOUNS[param.type]}${shown}`)
  } else if (param.enum && !param.enum.some((item) => JSON.stringify(item) === JSON.stringify(value))) {
    problems.push(
      `param \`${name}\` must be one of ${param.enum.map((item) => (typeof item === 'string' ? item : JSON.stringify(item))).join(', ')}${shown}`,
    )
  } else {
    values.set(name, value)
  }
}

const NOUNS: { readonly [type in Param['type']]: string } = {
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'an array (JSON, or a,b,c)',
  object: 'an object (JSON)',
}

const listOf = (names: readonly string[]): string =>
  names.length === 0 ? ' (this pipeline has no params)' : `; there are ${names.join(', ')}`

function fromText(text: string, type: Param['type']): Json | undefined {
  switch (type) {
    case 'string':
      return text
    case 'integer':
      return /^[+-]?\d+$/.test(text) ? Number(text) : undefined
    case 'number':
      return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined
    case 'array':
      return text.trimStart().startsWith('[')
        ? fromJson(text)
        : text === ''
          ? []
          : text.split(',').map((item) => item.trim())
    case 'object':
      return fromJson(text)
  }
}

function fromJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}
