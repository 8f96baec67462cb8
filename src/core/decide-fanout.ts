// Owns: the branches of a fan-out: what they are (each, count, branches, matrix), their keys, and which starts next.
import { configInvalid, evaluate, evaluateAll, type Evaluated, type Site } from './evaluation.ts'
import type { Event } from './events.ts'
import type { Failure } from './failure.ts'
import { branchPrefix, keySlug, spanIdOf, uniqueKeys } from './ids.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { LIMITS } from './limits.ts'
import type { Fanout, FanoutNode } from './pipeline.ts'
import type { RunState } from './state.ts'
import type { NodeState } from './node-state.ts'
import { asText, expressionsIn, fill } from './template.ts'

/** Bytes of branches per entry: well below the limit of an entry. */
const CHUNK_BYTES = LIMITS.entryBytes / 2

interface Branch {
  readonly key: string
  readonly item?: Json | undefined
}

/** All branches become known at once, in as many entries as they need. */
export function decideExpansion(state: RunState, node: NodeState): Event[] {
  const { fanout } = node.def as FanoutNode
  const base = { type: 'fanout.expanded', node: node.path, visit: node.visits } as const
  const expanded = branchesOf(state, node, fanout)
  if (expanded.failure) return [{ ...base, offset: 0, total: 0, branches: [], failure: expanded.failure }]
  const made = expanded.value
  const events: Event[] = []
  // After a crash between two chunks the rest is made again, from the same values.
  let offset = node.fanout!.keys.length
  if (made.length === 0) return [{ ...base, offset: 0, total: 0, branches: [] }]
  while (offset < made.length) {
    const chunk: Branch[] = []
    for (let bytes = 0; offset + chunk.length < made.length;) {
      const next = made[offset + chunk.length]!
      bytes += next.key.length + 24 + (next.item === undefined ? 0 : JSON.stringify(next.item).length)
      if (bytes > CHUNK_BYTES && chunk.length > 0) break
      chunk.push(next)
    }
    events.push({ ...base, offset, total: made.length, branches: chunk as { key: string; item?: Json }[] })
    offset += chunk.length
  }
  return events
}

function branchesOf(state: RunState, node: NodeState, fanout: Fanout): Evaluated<readonly Branch[]> {
  const { over } = fanout
  if ('branches' in over) return { value: Object.keys(over.branches).map((key) => ({ key })) }
  const site: Site = { scope: node.scope, node, what: `fan-out ${node.path}` }
  const wrong = (message: string): { failure: Failure } => ({
    failure: configInvalid(`fan-out ${node.path}${message}`),
  })
  const evaluated = evaluateList(state, site, over)
  if (evaluated.failure) return evaluated
  const filled = fill(over, evaluated.value) as JsonObject
  const items =
    'count' in over ? counted(filled['count']!) : 'each' in over ? listed(filled['each']!) : combined(filled)
  if (typeof items === 'string') return wrong(`: ${items}`)
  if (items.length > LIMITS.branches)
    return wrong(` has ${items.length} branches; at most ${LIMITS.branches} are allowed`)
  if (items.some((item) => JSON.stringify(item).length > CHUNK_BYTES)) {
    return wrong(`: an item is larger than ${CHUNK_BYTES / 1024} KiB; put it into a file and fan out over the paths`)
  }
  const keys: string[] = []
  for (const [index, item] of items.entries()) {
    const key = keyOf(state, site, fanout, item)
    if (key.failure) return key
    keys.push(key.value || String(index))
  }
  return { value: uniqueKeys(keys).map((key, index) => ({ key, item: items[index]! })) }
}

// `each` may be large: its values are recorded as items, so the bound on inputs of an entry does not apply.
function evaluateList(state: RunState, site: Site, over: Fanout['over']): Evaluated<JsonObject> {
  const inputs: Record<string, Json> = {}
  for (const source of expressionsIn(over)) {
    const evaluated = evaluate(state, site, source)
    if (evaluated.failure) return evaluated
    inputs[source] = evaluated.value
  }
  return { value: inputs }
}

function counted(count: Json): Json[] | string {
  const n = typeof count === 'string' ? Number(count) : count
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 0)
    return `count has to be a whole number, 0 or more; it is ${JSON.stringify(count)}`
  return n > LIMITS.branches
    ? `count is ${n}; at most ${LIMITS.branches} branches are allowed`
    : Array.from({ length: n }, (_, index) => index)
}

const listed = (each: Json): readonly Json[] | string =>
  Array.isArray(each) ? each : `each has to be a list; it is ${JSON.stringify(each)?.slice(0, 80)}`

/** Every combination of the axes, without `exclude`, then with `include` (entries that extend or add combinations). */
function combined(over: JsonObject): readonly Json[] | string {
  let rows: Record<string, Json>[] = [{}]
  for (const [axis, values] of Object.entries(over['matrix'] as JsonObject)) {
    if (!Array.isArray(values))
      return `matrix axis ${axis} has to be a list; it is ${JSON.stringify(values)?.slice(0, 80)}`
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [axis]: value as Json })))
    if (rows.length > LIMITS.branches) return `the matrix has more than ${LIMITS.branches} combinations`
  }
  const exclude = (over['exclude'] ?? []) as readonly Json[]
  const include = (over['include'] ?? []) as readonly Json[]
  rows = rows.filter((row) => !exclude.some((pattern) => isJsonObject(pattern) && matches(row, pattern)))
  for (const extra of include) {
    if (!isJsonObject(extra)) return 'include has to be a list of maps'
    const shared = Object.fromEntries(Object.entries(extra).filter(([axis]) => axis in (over['matrix'] as JsonObject)))
    const extended = Object.keys(shared).length > 0 ? rows.filter((row) => matches(row, shared)) : []
    if (extended.length > 0) for (const row of extended) Object.assign(row, extra)
    else rows.push({ ...extra })
  }
  return rows
}

const matches = (row: JsonObject, pattern: JsonObject): boolean =>
  Object.entries(pattern).every(([axis, value]) => JSON.stringify(row[axis]) === JSON.stringify(value))

/** Values joined by `-` for a matrix; `key:` or a scalar's slug for each; else empty: the index is the key. */
function keyOf(state: RunState, site: Site, fanout: Fanout, item: Json): Evaluated<string> {
  const { over } = fanout
  let text = ''
  if ('matrix' in over)
    text = Object.values(item as JsonObject)
      .map(asText)
      .join('-')
  else if ('each' in over && fanout.key !== undefined) {
    const extra = { item, ...(fanout.as !== undefined && { [fanout.as]: item }) }
    const evaluated = evaluateAll(state, { ...site, extra, what: `key of ${site.what}` }, expressionsIn(fanout.key))
    if (evaluated.failure) return evaluated
    text = asText(fill(fanout.key, evaluated.value))
  } else if ('each' in over && (typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean'))
    text = String(item)
  return { value: keySlug(text) }
}

/** The next branch, in order. */
export function decideBranch(state: RunState, node: NodeState): Event[] {
  const fanout = node.fanout!
  const index = fanout.next
  const key = fanout.keys[index]!
  return [
    {
      type: 'branch.started',
      node: node.path,
      visit: node.visits,
      branch: { key, index },
      span_id: spanIdOf(state.runId, state.execution, `branch ${branchPrefix(node.path, node.visits, key)}`),
      parent_span_id: node.spanId,
    },
  ]
}
