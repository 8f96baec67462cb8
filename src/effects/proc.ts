// Owns: what the kernel says about processes (Linux /proc; proc(5)). A process is named by pid and start time together,
// so that a reused pid is never taken for the old process. On macOS only "is there such a pid" can be answered.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface ProcessStat {
  readonly pid: number
  /** At most 15 characters, as the kernel keeps it. */
  readonly command: string
  readonly zombie: boolean
  readonly parent: number
  readonly group: number
  /** Clock ticks after boot. */
  readonly startTime: number
}

export const hasProc = process.platform === 'linux'

/** Pids of all processes that can be seen; empty without /proc. */
export function listPids(): number[] {
  if (!hasProc) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** The kernel's view of one process; undefined when it is gone (or there is no /proc). */
export function readStat(pid: number): ProcessStat | undefined {
  const text = readProc(pid, 'stat')?.toString('latin1')
  if (!text) return undefined
  // The command may hold spaces and parentheses: the fields begin after the last one.
  const open = text.indexOf('(')
  const close = text.lastIndexOf(')')
  const fields = text.slice(close + 2).split(' ')
  return {
    pid,
    command: text.slice(open + 1, close),
    zombie: fields[0] === 'Z' || fields[0] === 'X',
    parent: Number(fields[1]),
    group: Number(fields[2]),
    startTime: Number(fields[19]),
  }
}

/** One file of /proc/<pid>; undefined when the process is gone or belongs to someone else. */
export function readProc(pid: number | 'self', name: string): Buffer | undefined {
  if (!hasProc) return undefined
  try {
    return readFileSync(`/proc/${pid}/${name}`)
  } catch {
    return undefined
  }
}

/** When a process started (clock ticks after boot); undefined when it is gone or the system does not tell. */
export const startTime = (pid: number): number | undefined => readStat(pid)?.startTime

/**
 * Whether this very process lives; a zombie does not. Without a start time, and on systems without /proc, any process
 * with that pid counts.
 */
export function isAlive(pid: number, start?: number): boolean {
  if (hasProc) {
    const stat = readStat(pid)
    return stat !== undefined && !stat.zombie && (start === undefined || stat.startTime === start)
  }
  return signalProcess(pid, 0)
}

/** Sends a signal (0 = only ask); a negative pid means the group. False when there is nobody (or not ours). */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    // EPERM: somebody is there, but we may not touch it (macOS says so for groups of zombies).
    return (error as NodeJS.ErrnoException).code === 'EPERM' && signal === 0 && hasProc
  }
}

/** Changes with every boot of the machine; empty when the system does not tell. */
export const bootId = (): string => (hasProc ? readFileOrEmpty('/proc/sys/kernel/random/boot_id') : '')

/** The pid namespace this process lives in: pids mean something only inside of it. Empty when the system does not tell. */
export function pidNamespace(): string {
  try {
    return hasProc ? readlinkSync('/proc/self/ns/pid') : ''
  } catch {
    return ''
  }
}

function readFileOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

/** Living members of a process group. Without /proc: the group itself as one entry, if anybody is in it. */
export function groupMembers(group: number): ProcessStat[] {
  if (!signalProcess(-group, 0)) return []
  if (!hasProc) return [{ pid: group, command: '', zombie: false, parent: 0, group, startTime: 0 }]
  return listPids()
    .map(readStat)
    .filter((stat): stat is ProcessStat => stat !== undefined && stat.group === group && !stat.zombie)
}
