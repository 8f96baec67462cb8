// Owns: what the telemetry worker and its owner say to each other.
import type { Entry } from '../core/events.ts'
import type { Delivered } from './delivery.ts'

interface Task {
  /** Names the worker as holder of the position and of its slot. */
  readonly token: string
  /** Where processes agree about their instance ids. */
  readonly slotDirectory: string
}

/** What a worker is started for. */
export type WorkerTask =
  | (Task & {
      readonly kind: 'live'
      /** Absent: entries are asked for. */
      readonly runDir?: string | undefined
      /** One Int32: the last committed seq. Shared, so that a commit costs the owner one store and no message. */
      readonly committed: SharedArrayBuffer
    })
  | (Task & {
      readonly kind: 'export'
      readonly runDirs: readonly string[]
      /** The user named the receiver. */
      readonly explicit: boolean
      /** Send spans that were acknowledged before, too. */
      readonly restart: boolean
    })

export type ToWorker =
  /** Nothing follows `seq`: deliver up to it, until `deadline` (epoch ms) at most, then say `done`. */
  | { readonly type: 'finish'; readonly seq: number; readonly deadline: number }
  | { readonly type: 'entries'; readonly entries: readonly Entry[] }

export type FromWorker =
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'ask'; readonly afterSeq: number }
  | { readonly type: 'done'; readonly runs: readonly ExportedRun[] }

export interface ExportedRun extends Delivered {
  /** Undefined for a run without a directory. */
  readonly runDir: string | undefined
  /** Why nothing was sent: another process delivers this run just now. */
  readonly busy?: true
  /** The journal cannot be read. */
  readonly problem?: string
}
