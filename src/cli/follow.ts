// Owns: watching a run that another process runs, from its journal: `attach`, and `run --key` on a run that is there
// already. Ctrl-C stops watching, never the run.
import type { Store } from '../journal/store.ts'
import { composeRecovery } from './compose.ts'
import type { Invocation } from './command-table.ts'
import { exitCodeOf, SIGNAL_EXIT, type CancelSignal } from './exit-code.ts'
import type { KeyAction } from './live/keys.ts'
import { chooseUi, createProgress, type Progress } from './progress.ts'
import { reportEnd } from './report-end.ts'
import { shortId } from './store-path.ts'

export interface Followed {
  readonly store: Store
  readonly runId: string
  readonly invocation: Invocation
}

/** Follows the run to its end. Resolves with the run's exit code; with that of the signal when watching was stopped. */
export async function followToEnd({ store, runId, invocation }: Followed): Promise<number> {
  const pipeline = store.readPipeline(runId)
  const { output, options } = invocation
  const stop = new AbortController()
  const stopped: { by?: CancelSignal } = {}
  const listeners = (Object.keys(SIGNAL_EXIT) as CancelSignal[]).map((name) => {
    const listener = (): void => {
      stopped.by ??= name
      stop.abort()
    }
    process.on(name, listener)
    return () => process.off(name, listener)
  })
  const short = shortId(runId, store.list())
  const progress = await createProgress(chooseUi(options['ui']), {
    pipeline,
    output,
    shorten: () => short,
    directoryOf: () => store.paths(runId).directory,
    act: (action) => void ask({ store, runId, invocation }, action, progress),
  })
  try {
    const { followRun } = await import('../runner/follow.ts')
    const ended = followRun(runId, await composeRecovery(store), stop.signal)
    const watching = new AbortController()
    const shown = show({ store, runId, progress, signal: watching.signal })
    const end = await ended.catch((error: unknown) => {
      if (stop.signal.aborted) return undefined
      throw error
    })
    // The end is on record before final.json appears: what is still to be shown is there to be read.
    watching.abort()
    await shown
    progress.close()
    if (!end) {
      output.say(`Stopped watching; the run goes on: spanwright attach ${short}`)
      return SIGNAL_EXIT[stopped.by ?? 'SIGINT']
    }
    await reportEnd({ store, runId, pipeline, final: end.final, invocation, ui: progress.ui })
    return exitCodeOf(end.final)
  } finally {
    progress.close()
    for (const remove of listeners) remove()
  }
}

interface Shown {
  readonly store: Store
  readonly runId: string
  readonly progress: Progress
  readonly signal: AbortSignal
}

async function show({ store, runId, progress, signal }: Shown): Promise<void> {
  let seq = 0
  try {
    for await (const entries of store.tail(runId, 0, signal)) {
      progress.entries(entries)
      seq = entries.at(-1)?.seq ?? seq
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  const rest = [...store.read(runId, seq)]
  if (rest.length > 0) progress.entries(rest)
}

async function ask({ store, runId }: Followed, action: KeyAction, progress: Progress): Promise<void> {
  const { callingUser } = await import('../runner/actor.ts')
  const { answerGate, cancelRun } = await import('../runner/requests.ts')
  const ports = await composeRecovery(store)
  const by = callingUser()
  try {
    if (action.type === 'cancel') await cancelRun(runId, { by, force: false }, ports)
    else await answerGate(runId, { node: action.gate, choice: action.choice, by, comment: action.comment }, ports)
  } catch (error) {
    progress.warn(error instanceof Error ? error.message : String(error))
  }
}
