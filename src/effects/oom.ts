// Owns: whether the kernel's out-of-memory killer struck. It tells in counters only, so a kill is believed to be one when
// a counter grew during the attempt AND the command died of a SIGKILL that was not ours (or its shell said 137).
// Sources, best first: memory.events of our cgroup (v2, counts descendants), memory.oom_control (v1), /proc/vmstat (whole
// machine; in a container the host's).
import { readFileSync } from 'node:fs'

/** Where to read, and the line that counts. */
export interface OomSource {
  readonly path: string
  readonly key: string
}

/** The counter this process is under; undefined when the system has none. */
export function findOomSource(): OomSource | undefined {
  if (process.platform !== 'linux') return undefined
  const groups = read('/proc/self/cgroup')?.split('\n') ?? []
  const v2 = groups.find((line) => line.startsWith('0::'))?.slice(3)
  const v1 = groups
    .find((line) => line.split(':')[1]?.split(',').includes('memory'))
    ?.split(':')
    .slice(2)
    .join(':')
  const candidates: OomSource[] = [
    ...(v2 === undefined ? [] : [{ path: `/sys/fs/cgroup${v2}/memory.events`, key: 'oom_kill' }]),
    ...(v1 === undefined ? [] : [{ path: `/sys/fs/cgroup/memory${v1}/memory.oom_control`, key: 'oom_kill' }]),
    { path: '/proc/vmstat', key: 'oom_kill' },
  ]
  return candidates.find((source) => countOomKills(source) !== undefined)
}

/** A baseline this fresh is good enough for an attempt that starts now. */
const FRESH_MS = 1_000

/** Counts kills between the start of an attempt and its end, without reading a file at every start. */
export class OomWatch {
  readonly #source: OomSource | undefined
  #known: number | undefined
  #readAt = -Infinity

  constructor(source: OomSource | undefined) {
    this.#source = source
  }

  /** Kills before an attempt that starts now. */
  before(): number | undefined {
    if (performance.now() - this.#readAt > FRESH_MS) this.#read()
    return this.#known
  }

  /** Kills since `before`. */
  since(before: number | undefined): number {
    this.#read()
    return before === undefined || this.#known === undefined ? 0 : this.#known - before
  }

  #read(): void {
    this.#known = countOomKills(this.#source)
    this.#readAt = performance.now()
  }
}

/** Kills so far; undefined when it cannot be read. */
function countOomKills(source: OomSource | undefined): number | undefined {
  if (!source) return undefined
  const match = new RegExp(`^${source.key} (\\d+)$`, 'm').exec(read(source.path) ?? '')
  return match ? Number(match[1]) : undefined
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
