// Owns: one execution at the terminal, the same for run, resume and retry: progress, signals, keys, the closing summary,
// the exit code. Must not: know how a run is started (the commands do) or ended (runner/).
import type { Entry } from '../core/events.ts'
import type { CallFunction } from '../core/call.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { Store, SyncMode } from '../journal/store.ts'
import { callingUser } from '../runner/actor.ts'
import type { Execution } from '../runner/execution.ts'
import type { RunnerPorts } from '../runner/run-ports.ts'
import type { StartedRun } from '../runner/start.ts'
import type { Invocation } from './command-table.ts'
import { composeRun, tidyStore } from './compose.ts'
import { exitCodeOf, SIGNAL_EXIT, type CancelSignal } from './exit-code.ts'
import { takeAnnouncement } from './detach.ts'
import { reportEnd } from './report-end.ts'
import type { KeyAction } from './live/keys.ts'
import { chooseUi, createProgress, type Progress } from './progress.ts'
import { shortId } from './store-path.ts'

export interface Drive {
  readonly invocation: Invocation
  readonly store: Store
  readonly pipeline: Pipeline
  readonly functions?: ReadonlyMap<string, CallFunction> | undefined
  /** The run that goes on; absent for a new one. */
  readonly goesOn?: string | undefined
  readonly start: (ports: RunnerPorts) => Promise<StartedRun>
}

/** Runs an execution to its end. Resolves with the exit code; rejects when nothing was started. */
export async function drive(driven: Drive): Promise<number> {
  const { invocation, store } = driven
  const announce = takeAnnouncement()
  const signals = listenForSignals()
  const keys = { press: (_action: KeyAction): void => {} }
  const progress = await createProgress(chooseUi(invocation.options['ui']), {
    pipeline: driven.pipeline,
    output: invocation.output,
    act: (action) => keys.press(action),
    shorten: (runId) => shortId(runId, store.list()),
    directoryOf: (runId) => store.paths(runId).directory,
  })
  try {
    if (process.platform === 'darwin')
      progress.warn('on macOS only the process group of a step is ended; what a step moves out of it is not found')
    const settled = await tidyStore({ store, warn: progress.warn })
    let settling: Promise<void> | undefined
    const ports = await composeRun({
      store,
      functions: driven.functions,
      warn: progress.warn,
      sync: invocation.options['sync'] as SyncMode | undefined,
      capture: invocation.options['capture'] as 'content' | undefined,
      observe: (entries: readonly Entry[]) => {
        progress.entries(entries)
        // Beside the delivery of this run: the end is held up by the longer of the two, not by one after the other.
        if (entries.some(({ event }) => event.type === 'run.finished')) settling ??= settled()
      },
    })
    if (driven.goesOn !== undefined) progress.earlier(store.read(driven.goesOn))
    const started = await driven.start(ports)
    announce(started.runId)
    if (!started.execution) {
      signals.stop()
      progress.close()
      const { followToEnd } = await import('./follow.ts')
      return await followToEnd({ store, runId: started.runId, invocation })
    }
    keys.press = (action) => void pressed(started.execution!, action, progress)
    signals.start(started.execution)
    const end = await started.end
    await (settling ?? settled())
    progress.close()
    await reportEnd({
      store,
      runId: started.runId,
      pipeline: driven.pipeline,
      final: end.final,
      error: end.error,
      invocation,
      ui: progress.ui,
    })
    return end.error
      ? Math.max(exitCodeOf(end.final, signals.first()), end.error.exitCode)
      : exitCodeOf(end.final, signals.first())
  } finally {
    progress.close()
    signals.stop()
  }
}

async function pressed(execution: Execution, action: KeyAction, progress: Progress): Promise<void> {
  const by = callingUser()
  const refusal =
    action.type === 'cancel'
      ? await execution.send({ type: 'cancel', by, force: false })
      : await execution.send({
          type: 'gate.answer',
          node: action.gate,
          choice: action.choice,
          by,
          comment: action.comment,
        })
  if (refusal) progress.warn(refusal.message)
}

interface Signals {
  /** From now on signals cancel this execution; one that came before does at once. */
  start(execution: Execution): void
  readonly first: () => CancelSignal | undefined
  stop(): void
}

/** The first signal cancels, the second means now. Before the run is on record a signal is kept for it. */
function listenForSignals(): Signals {
  let execution: Execution | undefined
  let first: CancelSignal | undefined
  let count = 0
  const tell = (force: boolean): void => {
    const by = { kind: 'signal', signal: first ?? 'SIGINT' } as const
    void execution?.send({ type: 'cancel', by, force })
  }
  const names = Object.keys(SIGNAL_EXIT) as CancelSignal[]
  const listeners = names.map((name) => {
    const listener = (): void => {
      first ??= name
      count++
      tell(count > 1)
    }
    process.on(name, listener)
    return () => process.off(name, listener)
  })
  return {
    start(started) {
      execution = started
      if (count > 0) tell(count > 1)
    },
    first: () => first,
    stop() {
      for (const remove of listeners) remove()
    },
  }
}
