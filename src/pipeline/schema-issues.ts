// Owns: turning zod's issues into diagnostics that say what was expected, what was found, and what was meant.
import type { z } from 'zod'
import { didYouMean, type Diagnostic } from './diagnostic.ts'
import { pipelineSchema, type PipelineFile } from './schema.ts'
import type { Path, Position, Source } from './yaml-source.ts'

type Issue = z.core.$ZodIssue
/** How a key is spelled where the user wrote it (camelCase in TypeScript). */
export type Spelling = (key: string) => string

const NOUNS: { readonly [type: string]: string } = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
  null: 'nothing',
  undefined: 'nothing',
}

/** Checks the shape of a whole file; `file` is there when nothing is wrong with it. */
export function checkShape(source: Source, spell: Spelling): { file?: PipelineFile; diagnostics: Diagnostic[] } {
  const value = withoutFreeKeys(source.value)
  const result = pipelineSchema.safeParse(value, { error: (issue) => messageOf(issue, spell) })
  if (result.success) return { file: result.data, diagnostics: [] }
  return { diagnostics: result.error.issues.flatMap((issue) => diagnose(issue, [], { source, spell })) }
}

/** Keys under which everything is the user's own data; `x-` means nothing special there. */
const DATA_KEYS = new Set(['params', 'default', 'enum', 'env', 'outputs', 'output_schema', 'each', 'matrix', 'prices'])

function withoutFreeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutFreeKeys)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  const kept = Object.entries(value).filter(([key]) => !key.startsWith('x-'))
  return Object.fromEntries(kept.map(([key, item]) => [key, DATA_KEYS.has(key) ? item : withoutFreeKeys(item)]))
}

function messageOf(issue: z.core.$ZodRawIssue, spell: Spelling): string | undefined {
  if (issue.input === undefined) return `missing key \`${spell(String(issue.path?.at(-1) ?? ''))}\``
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${NOUNS[issue.expected] ?? issue.expected}`
    case 'invalid_value': {
      const values = issue.values.map(String)
      const listed = values.length > 8 ? `${values.slice(0, 8).join(', ')} …` : values.join(', ')
      return `expected one of ${listed}${typeof issue.input === 'string' ? didYouMean(issue.input, values) : ''}`
    }
    case 'unrecognized_keys': {
      const shape = (issue.inst as { _zod?: { def?: { shape?: object } } } | undefined)?._zod?.def?.shape ?? {}
      const known = Object.keys(shape).map(spell)
      return issue.keys.map((key) => `unknown key \`${spell(key)}\`${didYouMean(spell(key), known)}`).join('\n')
    }
    case 'too_small':
      if (issue.minimum === 1 && (issue.origin === 'array' || issue.origin === 'string')) return 'must not be empty'
      return `must ${issue.origin === 'number' || issue.origin === 'int' ? 'be' : 'have'} at least ${issue.minimum}${issue.inclusive === false ? ' (exclusive)' : ''}`
    case 'too_big':
      return `must ${issue.origin === 'number' || issue.origin === 'int' ? 'be' : 'have'} at most ${issue.maximum}`
    case 'invalid_union':
      return 'expected a JSON value'
    default:
      return undefined
  }
}

interface Context {
  readonly source: Source
  readonly spell: Spelling
}

function diagnose(issue: Issue, prefix: Path, context: Context): Diagnostic[] {
  const path = [...prefix, ...issue.path]
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split('\n')
    return issue.keys.map((key, i) =>
      place(context.source.locate([...path, key], 'key'), 'unknown-key', messages[i] ?? issue.message, context),
    )
  }
  if (issue.code === 'invalid_union') {
    const meant = meantBranch(issue.errors)
    if (meant) return meant.flatMap((inner) => diagnose(inner, path, context))
  }
  if (issue.code === 'invalid_key') {
    const reason = issue.issues[0]?.message ?? 'is not a valid name'
    return [place(context.source.locate(path, 'key'), 'bad-name', `\`${String(path.at(-1))}\`: ${reason}`, context)]
  }
  if (issue.message.startsWith('missing key'))
    return [place(context.source.locate(path.slice(0, -1)), 'missing-key', issue.message, context)]
  const rule =
    path.at(-1) === 'id' && issue.code !== 'invalid_type'
      ? 'bad-id'
      : issue.code === 'invalid_type'
        ? 'wrong-type'
        : 'wrong-value'
  return [
    place(
      context.source.locate(path),
      rule,
      `${nameOf(path, context.spell)}${issue.message}${found(valueAt(context.source.value, path))}`,
      context,
    ),
  ]
}

/** Of a union's branches the one the value was surely meant for: its own type fits, and only parts inside are wrong. */
function meantBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const fitting = branches.filter(
    (issues) => !issues.some((issue) => issue.path.length === 0 && issue.code !== 'unrecognized_keys'),
  )
  return fitting.length === 1 ? fitting[0] : undefined
}

function place(position: Position, rule: string, message: string, { source }: Context): Diagnostic {
  return { file: source.file, ...position, rule, severity: 'error', message }
}

/** `\`retry.max\`: `, the path inside the innermost node. */
function nameOf(path: Path, spell: Spelling): string {
  const from = path.lastIndexOf('nodes')
  const inner = from >= 0 && typeof path[from + 1] === 'number' ? path.slice(from + 2) : path
  const name = inner
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${spell(String(part))}`))
    .join('')
  return name === '' ? '' : `\`${name}\`: `
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value
  for (const part of path)
    at = typeof at === 'object' && at !== null ? (at as { [key: PropertyKey]: unknown })[part] : undefined
  return at
}

function found(value: unknown): string {
  if (value === undefined) return ''
  if (value === null) return ', found nothing'
  if (typeof value === 'object') return Array.isArray(value) ? ', found a list' : ', found a map'
  if (typeof value === 'function') return ', found a function'
  const shown = typeof value === 'number' ? `${value}` : JSON.stringify(value)
  return `, found ${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown}`
}
