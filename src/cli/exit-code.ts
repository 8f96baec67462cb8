// Owns: the exit code of a run (DESIGN 8).
import type { Final } from '../journal/final.ts'

/** Signals that cancel a run, with the exit code that says so. */
export const SIGNAL_EXIT = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const
export type CancelSignal = keyof typeof SIGNAL_EXIT

/** @param signal the one this process got; without it a canceled run was canceled by another process. */
export function exitCodeOf(final: Pick<Final, 'result' | 'failure'>, signal?: CancelSignal): number {
  const canceled = final.result === 'cancellation' || final.failure?.code === 'forced'
  if (canceled) return SIGNAL_EXIT[signal ?? 'SIGINT']
  switch (final.result) {
    case 'success':
    case 'skip':
      return 0
    case 'failure':
      return 1
    case 'timeout':
      return 124
    case 'error':
    case 'cancellation':
      return 5
  }
}
