// Owns: telemetry.json: how far the spans, log records and measurements of a run were delivered. Each has a coordinate
// (seq of the entry that made it, index within that entry); a position is the next coordinate to send.
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { writeFileAtomic } from '../journal/atomic-file.ts'
import { pathsIn } from '../journal/run-directory.ts'
import type { Signal } from './signal.ts'

const coordinate = z.object({ seq: z.number().int(), index: z.number().int() })
export type Coordinate = z.infer<typeof coordinate>

const flight = coordinate.extend({
  /** Of measurements: when they were put together (epoch µs), since when they count, and whose they are. */
  time_us: z.number().optional(),
  start_us: z.number().optional(),
  instance: z.string().optional(),
})
/** Where the batch ends that is being sent, and what else a repetition needs to have the same bytes. */
export type Flight = z.infer<typeof flight>

const progress = z.object({
  /** Receiver of the last acknowledged batch. */
  endpoint: z.string(),
  position: coordinate,
  in_flight: flight.optional(),
  acknowledged: z.number(),
  /** What the receiver refused for good. */
  rejected: z.number(),
})
/** Delivery of one signal to one receiver. */
export type Progress = z.infer<typeof progress>

const positions = z.object({ traces: progress, logs: progress.optional(), metrics: progress.optional() })
/** Delivery to one receiver; a signal that is missing stands where traces stand. */
export type Positions = z.infer<typeof positions>

const instance = z.object({ id: z.string(), token: z.string().optional() })

const fileSchema = positions.extend({
  version: z.literal(2),
  updated: z.string(),
  /** The process whose gauges were not closed yet. */
  instance: instance.optional(),
  /** Receivers that `trace export --endpoint` named beside the configured one, by hashed URL. */
  exports: z.record(z.string(), positions).optional(),
})
export type PositionFile = z.infer<typeof fileSchema>
/** Before logs and metrics. */
const firstVersion = progress.extend({
  version: z.literal(1),
  updated: z.string(),
  exports: z.record(z.string(), progress).optional(),
})

/** Receivers remembered beside the configured one. */
const EXPORTS_KEPT = 16

export const compare = (a: Coordinate, b: Coordinate): number => a.seq - b.seq || a.index - b.index

export interface PositionStore {
  load(signal: Signal): Progress
  save(signal: Signal, progress: Progress): void
  /** Who sends gauges now, or did and died; undefined = nobody whose gauges would have to be closed. */
  instance: z.infer<typeof instance> | undefined
}

const start = (endpoint: string): Progress => ({
  endpoint,
  position: { seq: 0, index: 0 },
  acknowledged: 0,
  rejected: 0,
})

/** Where a signal stands: one that was never sent begins where traces stand, so that old runs are not counted again. */
export const progressOf = (of: Positions, signal: Signal): Progress =>
  of[signal] ?? { ...start(of.traces.endpoint), position: of.traces.position }

/** For runs without a directory: kept as long as the process. */
export function memoryPosition(endpoint: string): PositionStore {
  const kept = new Map<Signal, Progress>()
  return {
    load: (signal) => kept.get(signal) ?? start(endpoint),
    save: (signal, next) => void kept.set(signal, next),
    instance: undefined,
  }
}

interface PositionOptions {
  /** The user named the receiver. */
  readonly explicit: boolean
  /** Send spans again that were acknowledged before. Numbers and logs are not repeated: they would count twice. */
  readonly restart: boolean
}

/**
 * The position of a run directory for one receiver. `explicit`: it then has a position of its own unless it is the one
 * that got everything so far. Otherwise the position is the run's, wherever the environment sends now: a collector that
 * moved goes on where its predecessor stopped.
 */
export function filePosition(runDir: string, endpoint: string, options: PositionOptions): PositionStore {
  const read = readPosition(runDir)
  const own = options.explicit && read !== undefined && read.traces.endpoint !== endpoint && hasSent(read)
  const exported = read?.exports?.[endpoint]
  const loaded = (signal: Signal): Progress => {
    if (!read || (options.restart && signal === 'traces')) return start(endpoint)
    if (own) return exported ? progressOf(exported, signal) : start(endpoint)
    const kept = progressOf(read, signal)
    // What an explicit export already sent to this receiver is not sent again.
    const there = exported && progressOf(exported, signal)
    return there && compare(there.position, kept.position) > 0 ? there : kept
  }
  const now: Positions = { traces: loaded('traces') }
  let file: PositionFile = read ?? { ...now, version: 2, updated: '' }
  return {
    // What was loaded is written with the first save: traces go on, and a signal that cannot be sent stays behind.
    load: (signal) => (now[signal] ??= loaded(signal)),
    save(signal, next) {
      now[signal] = own ? next : { ...next, endpoint }
      file = own ? { ...file, exports: withExport(file.exports, endpoint, now) } : { ...file, ...now }
      writePosition(runDir, file)
    },
    get instance() {
      return file.instance
    },
    set instance(next) {
      const { instance: _, ...rest } = file
      file = { ...rest, ...(next ? { instance: next } : {}) }
      writePosition(runDir, file)
    },
  }
}

const hasSent = ({ traces, logs, metrics }: Positions): boolean =>
  [traces, logs, metrics].some((each) => (each?.acknowledged ?? 0) > 0)

/** Marks a run directory as one that had an endpoint, so that a catch-up finds it whatever happens next. */
export function beginPosition(runDir: string, endpoint: string): void {
  if (existsSync(pathsIn(runDir).telemetry)) return
  const begin = start(endpoint)
  writePosition(runDir, { version: 2, updated: '', traces: begin, logs: begin, metrics: begin })
}

/** telemetry.json, or undefined where there is none or it cannot be read (then everything counts as not sent). */
export function readPosition(runDir: string): PositionFile | undefined {
  try {
    const content: unknown = JSON.parse(readFileSync(pathsIn(runDir).telemetry, 'utf8'))
    const old = firstVersion.safeParse(content)
    if (!old.success) return fileSchema.parse(content)
    const { version: _, updated, exports, ...traces } = old.data
    return {
      version: 2,
      updated,
      traces,
      ...(exports && {
        exports: Object.fromEntries(Object.entries(exports).map(([key, each]) => [key, { traces: each }])),
      }),
    }
  } catch {
    return undefined
  }
}

/** Not durable: a power failure may bring back an older position, and what is then repeated is the same. */
function writePosition(runDir: string, file: PositionFile): void {
  const { version, traces, logs, metrics, instance, exports } = file
  const content = { version, updated: new Date().toISOString(), traces, logs, metrics, instance, exports }
  writeFileAtomic(pathsIn(runDir).telemetry, `${JSON.stringify(content)}\n`, false)
}

function withExport(exports: PositionFile['exports'], endpoint: string, next: Positions): PositionFile['exports'] {
  const { [endpoint]: _, ...others } = exports ?? {}
  return Object.fromEntries([...Object.entries(others).slice(1 - EXPORTS_KEPT), [endpoint, next]])
}
