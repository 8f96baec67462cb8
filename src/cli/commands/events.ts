// Owns: `events`: the journal of a run, as lines for people or as it is (NDJSON).
import { SpanwrightError } from '../../core/error.ts'
import { EVENT_TYPES, type Entry } from '../../core/events.ts'
import type { Store } from '../../journal/store.ts'
import type { CommandFunction, Invocation } from '../command-table.ts'
import { plainLine } from '../live/plain.ts'
import { openRun } from '../open-store.ts'

const POLL_MS = 200

export const events: CommandFunction = async (invocation) => {
  const { options, output } = invocation
  const { store, runId } = await openRun(invocation)
  const wanted = typesOf(options)
  const show = (entries: readonly Entry[]): void => {
    const lines = entries
      .filter(({ event }) => wanted(event.type))
      .map((entry) => (options['json'] === true ? JSON.stringify(entry) : (plainLine(entry, output.look, true) ?? '')))
    output.result(...lines)
  }
  let chunk: Entry[] = []
  let seq = 0
  for (const entry of store.read(runId)) {
    seq = entry.seq
    chunk.push(entry)
    if (chunk.length < 1_000) continue
    show(chunk)
    chunk = []
  }
  show(chunk)
  if (options['follow'] === true) await follow(store, runId, { seq, show })
  return 0
}

/** A type, or a family such as `attempt.*`. */
function typesOf(options: Invocation['options']): (type: string) => boolean {
  const given = Array.isArray(options['type']) ? (options['type'] as readonly string[]) : []
  if (given.length === 0) return () => true
  for (const type of given) {
    const known = type.endsWith('.*')
      ? EVENT_TYPES.some((name) => name.startsWith(type.slice(0, -1)))
      : (EVENT_TYPES as readonly string[]).includes(type)
    if (!known)
      throw new SpanwrightError(
        'usage.invalid',
        `--type ${type}: no such event type; there are ${EVENT_TYPES.join(', ')}`,
      )
  }
  return (type) => given.some((name) => name === type || (name.endsWith('.*') && type.startsWith(name.slice(0, -1))))
}

interface Following {
  readonly seq: number
  readonly show: (entries: readonly Entry[]) => void
}

/** Until no process runs the run any more, or Ctrl-C. */
async function follow(store: Store, runId: string, { seq, show }: Following): Promise<void> {
  const { standingOf } = await import('../../runner/recover.ts')
  const stop = new AbortController()
  const abort = (): void => stop.abort()
  process.once('SIGINT', abort)
  const watch = setInterval(() => {
    if (standingOf(store, runId) !== 'live' && standingOf(store, runId) !== 'resting') stop.abort()
  }, POLL_MS)
  let last = seq
  try {
    for await (const entries of store.tail(runId, seq, stop.signal)) {
      show(entries)
      last = entries.at(-1)?.seq ?? last
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    clearInterval(watch)
    process.off('SIGINT', abort)
  }
  show([...store.read(runId, last)])
}
