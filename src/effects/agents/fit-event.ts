// Owns: what a client told, made fit for the record: times that are times, counts that count, ids and names of bounded
// length, texts masked. Masked first: a secret that is cut in two is no longer found.
import { createHash } from 'node:crypto'
import type { Json } from '../../core/json.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Tokens } from '../../core/outcome.ts'
import type { Mask } from '../../journal/masking.ts'
import type { AgentEvent, ModelSpent } from './adapter.ts'

/** The latest time that a date can tell (ECMA-262, 21.4.1.1). */
const LATEST_MS = 8.64e15

/**
 * The event as it may be kept. Its structured answer stays as it is: it is masked where it becomes outputs, which is said.
 */
export function fitEvent(event: AgentEvent, mask: Mask): AgentEvent {
  switch (event.type) {
    case 'session':
      return {
        ...event,
        ...defined({ id: shortId(event.id), model: shortId(event.model), version: shortId(event.version) }),
      }
    case 'text':
    case 'result':
      return event.text === undefined ? event : { ...event, text: mask.text(event.text) }
    case 'tool.started': {
      const { id, name, input, at } = event
      return { ...event, id: shortId(id), name: shortId(name), input: mask.json((input ?? null) as Json), at: time(at) }
    }
    case 'tool.finished':
      return {
        ...event,
        id: shortId(event.id),
        output: mask.text(event.output),
        ...(event.error !== undefined && { error: mask.text(event.error) }),
        at: time(event.at),
      }
    case 'call':
      return fitCall(event, mask)
    case 'spent':
      return {
        ...event,
        ...(event.tokens && { tokens: counted(event.tokens) }),
        ...(event.models && { models: countedModels(event.models) }),
      }
    case 'retry':
    case 'warning':
      return { ...event, message: mask.text(event.message) }
    default:
      return event
  }
}

function fitCall(event: Extract<AgentEvent, { type: 'call' }>, mask: Mask): AgentEvent {
  const { usd, ...rest } = event
  const { id, model, finishReason, text, error, tokens, startedAt, endedAt } = rest
  return {
    ...rest,
    ...defined({ id: shortId(id), model: shortId(model), finishReason: shortId(finishReason) }),
    ...(text !== undefined && { text: mask.text(text) }),
    ...(error && { error: { ...error, message: mask.text(error.message) } }),
    ...(tokens && { tokens: counted(tokens) }),
    ...(usd !== undefined && Number.isFinite(usd) && usd >= 0 && { usd }),
    ...(startedAt !== undefined && { startedAt: time(startedAt) }),
    endedAt: time(endedAt),
  }
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> }

/** Without the fields that are undefined. */
const defined = <T extends object>(fields: T): Partial<Defined<T>> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Defined<T>>

/** A client may tell times that are none; then it is now. */
const time = (at: number): number => (Number.isFinite(at) && Math.abs(at) < LATEST_MS ? at : Date.now())

/** A long one keeps its beginning, and stays different from others that begin so. */
function shortId<T extends string | undefined>(id: T): T {
  if (id === undefined || id.length <= LIMITS.nameChars) return id
  const rest = createHash('sha256').update(id).digest('hex').slice(0, 16)
  return `${id.slice(0, LIMITS.nameChars - rest.length - 1).replace(/[\uD800-\uDBFF]$/, '')}#${rest}` as T
}

const count = (value: number | undefined): number =>
  value !== undefined && Number.isFinite(value) && value > 0 ? Math.min(value, Number.MAX_SAFE_INTEGER) : 0

function counted<T extends Tokens>(tokens: T): T {
  const { input, cache_read, cache_write, output, reasoning } = tokens
  return {
    ...tokens,
    input: count(input),
    cache_read: count(cache_read),
    cache_write: count(cache_write),
    output: count(output),
    ...(reasoning !== undefined && { reasoning: count(reasoning) }),
  }
}

const countedModels = (models: Readonly<Record<string, ModelSpent>>): Readonly<Record<string, ModelSpent>> =>
  Object.fromEntries(
    Object.entries(models)
      .slice(0, LIMITS.models)
      .map(([name, spent]) => [shortId(name), counted(spent)]),
  )
