// Owns: turning a definition of builder.ts into the value a YAML file would hold (snake_case), with its functions apart.
// Must not: rename keys of the user's own data (env, params, outputs, items), or check anything.
import type { CallFunction } from '../core/call.ts'
import { isJsonObject } from '../core/json.ts'
import type { PipelineDefinition } from './builder.ts'
import type { Source } from './yaml-source.ts'

type Raw = { [key: string]: unknown }
const MAX_DEPTH = 64
const MAX_VALUE_DEPTH = 128

/** `max_parallel` → `maxParallel`: how TypeScript spells a key of the file format. */
export const camelCase = (key: string): string =>
  key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
const snakeCase = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/**
 * The file value of a definition and its functions. A function's name is the path of its node, so that names are unique;
 * `prefix` goes before it (functions of child pipelines).
 */
export function definitionSource(
  file: string,
  definition: PipelineDefinition,
  prefix = '',
): { source: Source; functions: Map<string, CallFunction> } {
  const functions = new Map<string, CallFunction>()
  const converter = new Converter(functions)
  const value = converter.pipeline(definition as unknown as Raw, prefix)
  const nowhere = { line: 1, column: 1 }
  return { source: { file, value, locate: () => nowhere, locateText: () => nowhere }, functions }
}

/** Whether a value contains itself or nests deeper than any pipeline within the limits. */
export function isTooDeep(value: unknown, around: readonly unknown[] = []): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (around.length > MAX_VALUE_DEPTH || around.includes(value)) return true
  const inside = [...around, value]
  return Object.values(value).some((item) => isTooDeep(item, inside))
}

class Converter {
  readonly #functions: Map<string, CallFunction>
  constructor(functions: Map<string, CallFunction>) {
    this.#functions = functions
  }

  pipeline(definition: Raw, prefix: string): Raw {
    const file = renamed(definition)
    set(file, 'hooks', renamed)
    set(file, 'summaries', (summaries) => set(renamed(summaries), 'agent', renamed))
    set(file, 'prices', (prices) => mapped(prices, renamed))
    set(file, 'defaults', (defaults) => set(renamed(defaults), 'retry', renamed))
    file['nodes'] = this.#nodes(file['nodes'], prefix, 0)
    return file
  }

  #nodes(list: unknown, prefix: string, depth: number): unknown {
    if (!Array.isArray(list) || depth > MAX_DEPTH) return list
    return list.map((item: unknown) => (isJsonObject(item) ? this.#node(item as Raw, prefix, depth) : item))
  }

  #node(definition: Raw, prefix: string, depth: number): Raw {
    const node = renamed(definition)
    const path = `${prefix}${String(node['id'])}`
    for (const key of ['retry', 'hooks', 'gate', 'child', 'wait']) set(node, key, renamed)
    set(node, 'agent', (value) => {
      const agent = set(set(renamed(value), 'escalate', renamed), 'stalls', renamed)
      const { fallback } = agent
      if (Array.isArray(fallback))
        agent['fallback'] = fallback.map((other) => (isJsonObject(other) ? renamed(other) : other))
      return agent
    })
    set(node, 'fanout', (value) => {
      const fanout = set(renamed(value), 'join', renamed)
      if (fanout['nodes'] !== undefined) fanout['nodes'] = this.#nodes(fanout['nodes'], `${path}/`, depth + 1)
      set(fanout, 'branches', (branches) => {
        const entries = Object.entries(branches)
        return Object.fromEntries(
          entries.map(([key, nodes]) => [key, this.#nodes(nodes, `${path}:${key}/`, depth + 1)]),
        )
      })
      return fanout
    })
    const { call } = node
    if (typeof call === 'function') {
      this.#functions.set(path, call as CallFunction)
      node['call'] = { name: path }
    }
    return node
  }
}

/** A copy with keys in snake_case, without absent values and without the mark of the builder. */
function renamed(value: object): Raw {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [snakeCase(key), item]),
  )
}

const mapped = (raw: Readonly<Raw>, change: (value: Readonly<Raw>) => Raw): Raw =>
  Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, isJsonObject(value) ? change(value) : value]))

function set(raw: Raw, key: string, change: (value: Readonly<Raw>) => Raw): Raw {
  const value = raw[key]
  if (isJsonObject(value)) raw[key] = change(value)
  return raw
}
