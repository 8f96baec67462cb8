// Owns: what the telemetry worker and its owner say to each other.
import type { Entry } from '../core/events.ts'
import type { Delivered } from './delivery.ts'

/** What a worker is started for. `token` names it as holder of the position. */
export type WorkerTask =
  | {
      readonly kind: 'live'
      readonly token: string
      /** Absent: entries are asked for. */
      readonly runDir?: string | undefined
      /** One Int32: the last committed seq. Shared, so that a commit costs the owner one store and no message. */
      readonly committed: SharedArrayBuffer
    }
  | {
      readonly kind: 'export'
      readonly token: string
      readonly runDirs: readonly string[]
      /** The user named the receiver. */
      readonly explicit: boolean
      /** Send what was acknowledged before, too. */
      readonly restart: boolean
    }

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
