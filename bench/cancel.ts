// Measures how long after a cancel the last process of a run is gone: 200 commands at once that obey TERM, and 200 that
// ignore it. Beside it the grace itself, which is the floor for those that ignore it (and none for those that obey).
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fanout, pipeline, run, runPipeline } from 'spanwright'
import { column, heading, row, shown, takeTurns, target } from './measure.ts'
import { scratchDirectory } from './scratch.ts'

const CHILDREN = 200
const GRACE_MS = 1_000
const ALLOWED_OVER_MS = 200
const ROUNDS = 5
/** Looking costs time of the machine that is measured. */
const LOOK_MS = 20

const directory = scratchDirectory()

interface Canceled {
  readonly goneMs: number
  readonly endedMs: number
}

/** Each child is two processes: a shell, and the sleep that it started after setting its trap. */
async function cancel(script: string): Promise<Canceled> {
  const definition = pipeline({
    name: 'cancel',
    maxParallel: CHILDREN,
    nodes: [fanout('wide', { count: CHILDREN, nodes: [run('child', { run: script, grace: `${GRACE_MS}ms` })] })],
  })
  const abort = new AbortController()
  let runId = ''
  const ended = runPipeline(definition, {
    store: directory,
    signal: abort.signal,
    onEntries: (entries) => {
      for (const { event } of entries) if (event.type === 'run.created') runId = event.run_id
    },
  })
  let pids: readonly string[] = []
  while (pids.length < 2 * CHILDREN) {
    await sleep(100)
    if (runId !== '') pids = processesOf(runId)
  }
  const startedAt = performance.now()
  abort.abort()
  let endedMs = 0
  const end = ended.then(() => {
    endedMs = performance.now() - startedAt
  })
  do {
    await sleep(LOOK_MS)
    pids = pids.filter(isAlive)
  } while (pids.length > 0)
  const goneMs = performance.now() - startedAt
  await end
  return { goneMs, endedMs }
}

/** Processes that carry the marks of the run's steps (the sentinel does not). */
function processesOf(runId: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false
    return readProc(pid, 'environ').includes(`SPANWRIGHT_RUN_ID=${runId}`)
  })
}

/** One that has ended and only waits to be collected is gone. */
function isAlive(pid: string): boolean {
  const stat = readProc(pid, 'stat')
  return stat !== '' && !stat.slice(stat.lastIndexOf(')')).startsWith(') Z')
}

/** Empty when it has ended meanwhile, or belongs to somebody else. */
function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}

const rounds = await takeTurns(ROUNDS, [
  () => cancel('sleep 600 & wait'),
  () => cancel(`trap '' TERM; sleep 600 & while :; do wait; done`),
])
for (const [side, what] of ['that obey', 'that ignore TERM'].entries()) {
  const gone = column(rounds, (round) => round[side]!.goneMs)
  heading(`cancel of ${CHILDREN} children ${what}, grace ${GRACE_MS} ms, ${ROUNDS} rounds`)
  target('cancel to all processes gone', shown(gone, 'ms', 0), {
    wanted: `≤ grace + ${ALLOWED_OVER_MS} ms`,
    met: gone.median <= GRACE_MS + ALLOWED_OVER_MS,
  })
  row(
    'over the grace',
    shown(
      column(rounds, (round) => round[side]!.goneMs - GRACE_MS),
      'ms',
      0,
    ),
  )
  row(
    'cancel to the result of the run',
    shown(
      column(rounds, (round) => round[side]!.endedMs),
      'ms',
      0,
    ),
  )
}
