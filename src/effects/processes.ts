// Owns: finding and ending processes that a run left behind. It signals only what it identified by pid and start time
// a moment ago, never a bare stored pid, and never itself.
import { setTimeout as sleep } from 'node:timers/promises'
import { carries, markerOf, MARKERS, SENTINEL, variableOf } from './marker.ts'
import {
  groupMembers,
  hasProc,
  isAlive,
  listPids,
  readProc,
  readStat,
  signalProcess,
  type ProcessStat,
} from './proc.ts'
import type { Observation } from '../core/events.ts'

export interface FoundProcess {
  readonly pid: number
  readonly startTime: number
  readonly command: string
  /** The sentinel of a nested run: it has work to do when its run dies. */
  readonly sentinel: boolean
}
export interface EndedProcess {
  readonly pid: number
  readonly command: string
  readonly signal: string
}

export interface EndOptions {
  /** From TERM to KILL. 0 = KILL at once. */
  readonly killAfterMs: number
  /** How long sentinels of nested runs are left alone, from the call on. `never` leaves them to a later scan. */
  readonly spareSentinelsMs?: number | 'never'
}

/** How long a nested sentinel may take to end its own run's processes. */
const SENTINEL_TIME_MS = 3_000
const POLL_MS = 10
/** After KILL a process is gone in a moment; one in an uninterruptible system call may never be. */
const KILL_WAIT_MS = 1_000
const SCAN_DELAY_MS = 2
const LISTED = 50

type MarkedProcess = FoundProcess & { readonly markers: string }

/** All processes that carry any marker (own user only: others' environments cannot be read). Costs about 20 µs each. */
function scanAll(): MarkedProcess[] {
  const found: MarkedProcess[] = []
  for (const pid of listPids()) {
    if (pid === process.pid) continue
    const environ = readProc(pid, 'environ')
    const markers = environ && variableOf(environ, MARKERS)
    if (!markers) continue
    const stat = readStat(pid)
    if (!stat || stat.zombie) continue
    const sentinel = variableOf(environ, SENTINEL) === '1'
    found.push({ pid, startTime: stat.startTime, command: stat.command, sentinel, markers })
  }
  return found
}

/** Living processes that carry the marker of an attempt, or (`<run id>/`) of any step of a run. Linux only. */
export const scanMarked = (marker: string): FoundProcess[] =>
  scanAll().filter((found) => carries(found.markers, marker))

/** Hundreds of attempts canceled together share one walk through /proc. */
let walk: Promise<MarkedProcess[]> | undefined
async function scanSoon(marker: string): Promise<FoundProcess[]> {
  walk ??= sleep(SCAN_DELAY_MS).then(() => {
    walk = undefined
    return scanAll()
  })
  return (await walk).filter((found) => carries(found.markers, marker))
}

const same = (found: FoundProcess): boolean => isAlive(found.pid, hasProc ? found.startTime : undefined)

/**
 * Ends everything that carries the marker, also what is started meanwhile: TERM, then KILL. Resolves when nothing of it
 * lives (spared sentinels aside) or can be ended.
 */
export async function endMarked(marker: string, options: EndOptions): Promise<EndedProcess[]> {
  return hasProc ? endFound(() => scanSoon(marker), options) : []
}

/** Living processes by group. Hundreds of commands that end together share one walk through /proc here, too. */
let groupWalk: Promise<ReadonlyMap<number, ProcessStat[]>> | undefined
async function membersSoon(group: number): Promise<ProcessStat[]> {
  if (!hasProc || !signalProcess(-group, 0)) return groupMembers(group)
  groupWalk ??= sleep(SCAN_DELAY_MS).then(() => {
    groupWalk = undefined
    const living = listPids().flatMap((pid) => readStat(pid) ?? [])
    return Map.groupBy(
      living.filter((stat) => !stat.zombie),
      (stat) => stat.group,
    )
  })
  return (await groupWalk).get(group) ?? []
}

/** Ends what is left of a process group: TERM, then KILL. */
export const endGroup = (group: number, killAfterMs: number): Promise<EndedProcess[]> =>
  endFound(
    async () => (await membersSoon(group)).map((stat) => ({ ...stat, sentinel: false })),
    { killAfterMs },
    (found, signal) => signalProcess(hasProc ? found.pid : -group, signal),
  )

type Find = () => Promise<FoundProcess[]>
type Send = (found: FoundProcess, signal: NodeJS.Signals) => void

async function endFound(
  find: Find,
  options: EndOptions,
  send: Send = (found, signal) => void signalProcess(found.pid, signal),
) {
  const start = performance.now()
  const killAt = start + options.killAfterMs
  const spare = options.spareSentinelsMs ?? SENTINEL_TIME_MS
  const spareUntil = spare === 'never' ? Infinity : start + spare
  const ended = new Map<string, EndedProcess>()
  for (;;) {
    const found = (await find()).filter((process) => !(process.sentinel && spare === 'never'))
    if (found.length === 0) return [...ended.values()]
    const now = performance.now()
    // A spared sentinel may make everything take longer, but not for ever.
    const giveUpAt = Math.max(killAt, found.some((process) => process.sentinel) ? spareUntil : 0) + KILL_WAIT_MS
    if (now > giveUpAt) return [...ended.values()]
    for (const process of found) {
      if (process.sentinel && now < spareUntil) continue
      const id = `${process.pid}:${process.startTime}`
      const signal = now >= killAt ? 'SIGKILL' : 'SIGTERM'
      if (ended.get(id)?.signal === signal || (hasProc && !same(process))) continue
      send(process, signal)
      // A stopped process gets its TERM only once it goes on.
      if (signal === 'SIGTERM') send(process, 'SIGCONT')
      ended.set(id, { pid: process.pid, command: process.command, signal })
    }
    await untilGone(found, now < killAt ? killAt : now + KILL_WAIT_MS, spareUntil)
  }
}

/** Waits until all of them are gone, or the time for the next signal has come. */
async function untilGone(found: readonly FoundProcess[], until: number, spareUntil: number): Promise<void> {
  const ordinary = found.some((process) => !process.sentinel)
  for (;;) {
    const left = found.filter(same)
    const now = performance.now()
    if (left.length === 0 || now >= until) return
    // Sentinels are not signaled before their time: only they are left, so look again then.
    if (ordinary && left.every((process) => process.sentinel)) return
    if (!ordinary && now >= spareUntil) return
    await sleep(Math.min(POLL_MS, Math.max(1, until - now)))
  }
}

/** What is put on record about ended processes; undefined when there were none. */
export function endedObservation(
  ended: readonly EndedProcess[],
  reason: string,
  attemptId?: string,
): Observation | undefined {
  if (ended.length === 0) return undefined
  return {
    type: 'processes.ended',
    reason,
    processes: ended.slice(0, LISTED).map((process) => ({ ...process })),
    ...(attemptId === undefined ? {} : { attempt_id: attemptId }),
    ...(ended.length > LISTED ? { omitted: ended.length - LISTED } : {}),
  }
}

/** Recovery gives orphans a second between TERM and KILL. */
const ORPHAN_KILL_MS = 1_000

/**
 * Ends everything a dead orchestrator left of a run: whoever carries the run's marker. Where there is no /proc, only the
 * recorded process groups can be ended, and only if `groups` is fresh (the sentinel's, not a later recovery's).
 */
export async function endOrphans(runId: string, groups: readonly number[] = []): Promise<EndedProcess[]> {
  if (hasProc) return endMarked(markerOf(runId), { killAfterMs: ORPHAN_KILL_MS })
  return (await Promise.all(groups.map((group) => endGroup(group, ORPHAN_KILL_MS)))).flat()
}
