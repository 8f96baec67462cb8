// Owns: the mark that every child carries in its environment: a list of `<run id>/<attempt id>` entries, one per run it
// is nested in. By it a process is found again whatever group or session it moved to.
// Out of reach: processes that clear or overwrite their environment, change user or container.
import { hasProc, readProc, readStat } from './proc.ts'

export const MARKERS = 'SPANWRIGHT_MARKERS'
/** Set to `1` in the environment of a sentinel: scans give it time to do its work. */
export const SENTINEL = 'SPANWRIGHT_SENTINEL'
/** Neither run ids nor attempt ids nor branch keys hold a comma. */
const SEPARATOR = ','

/** `<run id>/<id of the attempt, check or hook>`; with an empty id the run as a whole. */
export const markerOf = (runId: string, id = ''): string => `${runId}/${id}`

/** The list with one more entry. */
export const withMarker = (inherited: string | undefined, marker: string): string =>
  inherited ? `${inherited}${SEPARATOR}${marker}` : marker

/** Whether a marker list holds the marker; one that ends in `/` (a run) covers all entries of that run. */
export function carries(list: string, marker: string): boolean {
  const entries = list.split(SEPARATOR)
  return marker.endsWith('/') ? entries.some((entry) => entry.startsWith(marker)) : entries.includes(marker)
}

/** Value of a variable in the environment a process was started with; undefined when unset or not readable. */
export function variableOf(environ: Buffer, name: string): string | undefined {
  const key = `${name}=`
  let at = environ.indexOf(key)
  while (at > 0 && environ[at - 1] !== 0) at = environ.indexOf(key, at + 1)
  if (at < 0) return undefined
  const end = environ.indexOf(0, at)
  return environ.subarray(at + key.length, end < 0 ? environ.length : end).toString('utf8')
}

/**
 * Whether the caller, or a process it descends from, was started by a step of this run. Stops accidents and eager
 * agents, not a hostile process of the same user.
 */
export function insideRun(runId: string, env: NodeJS.ProcessEnv = process.env): boolean {
  const marker = markerOf(runId)
  if (carries(env[MARKERS] ?? '', marker)) return true
  if (!hasProc) return false
  const seen = new Set<number>()
  for (let pid = process.ppid; pid > 1 && !seen.has(pid); pid = readStat(pid)?.parent ?? 0) {
    seen.add(pid)
    const environ = readProc(pid, 'environ')
    if (environ && carries(variableOf(environ, MARKERS) ?? '', marker)) return true
  }
  return false
}
