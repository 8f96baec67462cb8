// Owns: waiting for a limit that client or provider gave an end to (DESIGN 3). Whether it may is asked of the core.
import { setTimeout as sleep } from 'node:timers/promises'
import type { FailureReport } from '../../core/failure.ts'
import type { Report } from '../context.ts'
import type { Verdict } from './adapter.ts'

/** A reset time that has passed already means: soon. */
const SOONEST_MS = 1_000
/** The wall clock is asked again after so long: machines sleep, clocks are set. */
const LOOK_MS = 30_000

/** When to go on (epoch ms), if the limit that ended a launch has a known end and nothing else can be tried before. */
export function resumesAt(verdict: Verdict, hasFallback: boolean, now: number): number | undefined {
  if (hasFallback || verdict.resetsAt === undefined || !Number.isFinite(verdict.resetsAt)) return undefined
  if (verdict.status !== 'limit' && !LIMITED.has(verdict.errorClass ?? '')) return undefined
  return Math.max(verdict.resetsAt, now + SOONEST_MS)
}

const LIMITED: ReadonlySet<string> = new Set(['rate_limit', 'quota', 'overloaded'])

/** True: the time has come. False: waiting is refused, or was stopped. */
export async function waitForLimit(
  report: Report,
  resumes: number,
  failure: FailureReport,
  stopped: AbortSignal,
): Promise<boolean> {
  if (!(await report.waiting(resumes, failure))) return false
  while (!stopped.aborted) {
    const left = resumes - Date.now()
    if (left <= 0) return true
    await sleep(Math.min(left, LOOK_MS), undefined, { signal: stopped }).catch(() => {})
  }
  return false
}
