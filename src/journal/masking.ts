// Owns: I8, the one function between capture and whatever is written: journal, artifacts, logs, telemetry, terminal.
// Ids are never touched. Must not: write anything.
import type { Event } from '../core/events.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { SecretStream, type MaskStream } from './mask-stream.ts'
import { MASKED, replaceSpans, SecretMatcher } from './secret-matcher.ts'
import { secretLiterals, type SecretSources } from './secret-values.ts'

export interface MaskSources extends SecretSources {
  /** Configured patterns. They see one line at a time; a line that is no UTF-8 is read as Latin-1. */
  readonly patterns?: readonly (string | RegExp)[] | undefined
}

export interface Mask {
  /** `text` with every secret replaced by `***`. */
  text(text: string): string
  /** Every string, key and number of a JSON value. The same object comes back when nothing was found. */
  json<T extends Json>(value: T): T
  /** An event: everything but its ids and fixed words. The same object comes back when nothing was found. */
  event<E extends Event>(event: E): E
  /** A pipeline: everything but ids, names and fixed words. The same object comes back when nothing was found. */
  pipeline(pipeline: Pipeline): Pipeline
  /** False only when an event encoded as `line` holds no secret: the fast path of an append. */
  mayContain(line: string): boolean
  /** Masking of a log that arrives in pieces. */
  stream(): MaskStream
}

/** Fields whose values are ids or fixed words, wherever they stand outside free values. */
const EVENT_IDS = new Set([
  'type',
  'node',
  'nodes',
  'attempt_id',
  'span_id',
  'parent_span_id',
  'agent_span_id',
  'trace_id',
  'run_id',
  'key',
  'continues',
  'retry_of',
  'prior_attempt_ids',
  'links',
  'join_links',
  'kind',
  'via',
  'result',
  'code',
  'class',
  'source',
  'signature',
  'hash',
  'pipeline_hash',
  'only',
  'from',
  'to',
  'next',
  'path',
  'scope',
  'hook',
  'level',
  'mode',
  'budget',
  'stream',
  'relation',
  'due_at',
  'last_output_at',
  'choice',
  'choices',
  'reject',
  'default',
  'signal',
])
const PIPELINE_IDS = new Set([
  'id',
  'name',
  'needs',
  'to',
  'kind',
  'shell',
  'level',
  'on_failure',
  'workspace',
  'merge',
  'mode',
  'type',
  'calls',
  'secrets',
  'decision',
  'choices',
  'reject',
  'as',
  'file',
])
/** Fields that hold values of steps and people: nothing inside them is an id. */
const FREE = new Set(['outputs', 'inputs', 'params', 'details', 'item', 'labels'])

/** A mask for these secrets. Masking nothing is `createMask({})`. Throws SyntaxError for a pattern that is no regex. */
export function createMask(sources: MaskSources): Mask {
  const literals = secretLiterals(sources)
  const patterns = (sources.patterns ?? []).map((pattern) => new RegExp(pattern))
  const matcher = new SecretMatcher(literals, patterns)
  let bytes: SecretMatcher | undefined
  const text = (value: string): string => replaceSpans(value, matcher.find(value))
  return {
    text,
    json: (value) => maskValue(value, text) as typeof value,
    event: (event) =>
      maskFields(event as Json, { text, ids: EVENT_IDS, byNode: event.type === 'branch.finished' }) as typeof event,
    pipeline: (pipeline) =>
      maskFields(pipeline as unknown as Json, { text, ids: PIPELINE_IDS, definition: true }) as unknown as Pipeline,
    // A pattern may be anchored or name characters that JSON escapes, so it cannot be tried on an encoded line.
    mayContain: (line) => patterns.length > 0 || matcher.hasLiteral(line),
    stream: () => new SecretStream((bytes ??= new SecretMatcher(literals, patterns, true))),
  }
}

interface FieldRules {
  readonly text: (value: string) => string
  readonly ids: ReadonlySet<string>
  /** The outputs of a branch are listed by node id. */
  readonly byNode?: boolean
  /** In a pipeline `outputs`, `params` … are declarations, whose names are ids. */
  readonly definition?: boolean
}

/** Masks a value of known shape: ids by their field's name stay, free values are masked throughout. */
function maskFields(value: Json, rules: FieldRules): Json {
  if (typeof value === 'string') return rules.text(value)
  if (Array.isArray(value)) return mapArray(value as readonly Json[], (item) => maskFields(item, rules))
  if (!isJsonObject(value)) return value
  return mapObject(value, (key, item) => {
    if (rules.ids.has(key) && !holdsObjects(item)) return item
    if (rules.definition || !FREE.has(key)) return maskFields(item, rules)
    if (rules.byNode && key === 'outputs' && isJsonObject(item))
      return mapObject(item, (_, outputs) => maskValue(outputs, rules.text))
    return maskValue(item, rules.text)
  })
}

/** `nodes` is a list of paths in one event and of nodes in a pipeline; only the first are ids. */
const holdsObjects = (value: Json): boolean =>
  isJsonObject(value) || (Array.isArray(value) && value.some((item) => typeof item === 'object'))

/** Masks a value of unknown shape throughout: strings, keys, and numbers whose digits are a secret. */
function maskValue(value: Json, text: (value: string) => string): Json {
  if (typeof value === 'string') return text(value)
  if (typeof value === 'number') {
    const digits = String(value)
    return text(digits) === digits ? value : MASKED
  }
  if (Array.isArray(value)) return mapArray(value as readonly Json[], (item) => maskValue(item, text))
  if (!isJsonObject(value)) return value
  const masked = mapObject(value, (_, item) => maskValue(item, text))
  if (Object.keys(masked).every((key) => text(key) === key)) return masked
  const renamed = new Map<string, Json>()
  for (const [key, item] of Object.entries(masked)) {
    let name = text(key)
    while (renamed.has(name)) name += '*'
    renamed.set(name, item)
  }
  return Object.fromEntries(renamed)
}

function mapArray(list: readonly Json[], change: (item: Json) => Json): Json {
  let changed: Json[] | undefined
  list.forEach((item, i) => {
    const next = change(item)
    if (next !== item) (changed ??= [...list])[i] = next
  })
  return changed ?? list
}

function mapObject<T extends { readonly [key: string]: Json }>(
  object: T,
  change: (key: string, item: Json) => Json,
): T {
  let changed: { [key: string]: Json } | undefined
  for (const key of Object.keys(object)) {
    const item = object[key]!
    const next = change(key, item)
    if (next !== item) (changed ??= { ...object })[key] = next
  }
  return (changed as T | undefined) ?? object
}
