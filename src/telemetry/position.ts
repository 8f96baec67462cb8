// Owns: telemetry.json: how far the spans of a run were delivered. Each span has a coordinate (seq of the entry that
// ended it, index within that entry); a position is the next coordinate to send.
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { writeFileAtomic } from '../journal/atomic-file.ts'
import { pathsIn } from '../journal/run-directory.ts'

const coordinate = z.object({ seq: z.number().int(), index: z.number().int() })
export type Coordinate = z.infer<typeof coordinate>

const progress = z.object({
  /** Receiver of the last acknowledged batch. */
  endpoint: z.string(),
  position: coordinate,
  /** Where the batch ends that was being sent: a repetition must have the same bytes. */
  in_flight: coordinate.optional(),
  acknowledged: z.number(),
  /** Spans that the receiver refused for good. */
  rejected: z.number(),
})
/** Delivery to one receiver. */
export type Progress = z.infer<typeof progress>

const fileSchema = progress.extend({
  version: z.literal(1),
  updated: z.string(),
  /** Receivers that `trace export --endpoint` named beside the configured one, by hashed URL. */
  exports: z.record(z.string(), progress).optional(),
})
type PositionFile = z.infer<typeof fileSchema>

/** Receivers remembered beside the configured one. */
const EXPORTS_KEPT = 16

export const compare = (a: Coordinate, b: Coordinate): number => a.seq - b.seq || a.index - b.index

export interface PositionStore {
  load(): Progress
  save(progress: Progress): void
}

const start = (endpoint: string): Progress => ({
  endpoint,
  position: { seq: 0, index: 0 },
  acknowledged: 0,
  rejected: 0,
})

/** For runs without a directory: kept as long as the process. */
export function memoryPosition(endpoint: string): PositionStore {
  let kept = start(endpoint)
  return {
    load: () => kept,
    save: (next) => {
      kept = next
    },
  }
}

/**
 * The position of a run directory for one receiver. `explicit`: the user named the receiver; it then has a position
 * of its own unless it is the one that got the spans so far. Otherwise the position is the run's, wherever the
 * environment sends now: a collector that moved goes on where its predecessor stopped.
 * `restart`: send everything again.
 */
export function filePosition(
  runDir: string,
  endpoint: string,
  options: { explicit: boolean; restart: boolean },
): PositionStore {
  const own = (file: PositionFile | undefined): boolean =>
    options.explicit && file !== undefined && file.endpoint !== endpoint && file.acknowledged > 0
  return {
    load() {
      const file = readPosition(runDir)
      if (options.restart || !file) return start(endpoint)
      const exported = file.exports?.[endpoint]
      if (own(file)) return exported ?? start(endpoint)
      // What an explicit export already sent to this receiver is not sent again.
      return exported && compare(exported.position, file.position) > 0 ? exported : file
    },
    save(next) {
      const file = readPosition(runDir)
      if (file && own(file)) writePosition(runDir, { ...file, exports: withExport(file.exports, endpoint, next) })
      else
        writePosition(runDir, {
          ...next,
          endpoint,
          version: 1,
          updated: '',
          ...(file?.exports ? { exports: file.exports } : {}),
        })
    },
  }
}

/** Marks a run directory as one that had an endpoint, so that a catch-up finds it whatever happens next. */
export function beginPosition(runDir: string, endpoint: string): void {
  if (!existsSync(pathsIn(runDir).telemetry)) writePosition(runDir, { ...start(endpoint), version: 1, updated: '' })
}

/** telemetry.json, or undefined where there is none or it cannot be read (then everything counts as not sent). */
export function readPosition(runDir: string): PositionFile | undefined {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(pathsIn(runDir).telemetry, 'utf8')))
  } catch {
    return undefined
  }
}

/** Not durable: a power failure may bring back an older position, and spans that are then repeated are the same. */
function writePosition(runDir: string, file: PositionFile): void {
  const { version, endpoint, position, in_flight, acknowledged, rejected, exports } = file
  const content = {
    version,
    endpoint,
    position,
    in_flight,
    acknowledged,
    rejected,
    updated: new Date().toISOString(),
    exports,
  }
  writeFileAtomic(pathsIn(runDir).telemetry, `${JSON.stringify(content)}\n`, false)
}

function withExport(exports: PositionFile['exports'], endpoint: string, next: Progress): PositionFile['exports'] {
  const { [endpoint]: _, ...others } = exports ?? {}
  return Object.fromEntries([...Object.entries(others).slice(1 - EXPORTS_KEPT), [endpoint, next]])
}
