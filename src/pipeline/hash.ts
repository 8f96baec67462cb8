// Owns: the identity of a pipeline: equal for equal meaning, whatever the order of keys.
import { createHash } from 'node:crypto'
import type { CallFunction } from '../core/call.ts'
import type { Pipeline } from '../core/pipeline.ts'

/** sha256 (hex) of the canonical JSON of a pipeline and, for TypeScript pipelines, the source text of its functions. */
export function hashPipeline(pipeline: Pipeline, functions: ReadonlyMap<string, CallFunction> = new Map()): string {
  const sources = [...functions]
    .map(([name, call]) => [name, String(call)] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(canonicalJson(sources.length === 0 ? pipeline : { pipeline, functions: sources }))
    .digest('hex')
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  entries.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`
}
