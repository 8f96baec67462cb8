// Owns: showing a run while it goes on, in one of five ways: a live view, one line per event, NDJSON, nothing, or what
// fits the terminal. Fed with journal entries; never harms the run. Must not: say how it ended (closing.ts).
import type { Entry } from '../core/events.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { foldEntry } from './live/fold.ts'
import type { KeyAction } from './live/keys.ts'
import { openQuestions, plainLine } from './live/plain.ts'
import { newRunView } from './live/run-view.ts'
import type { Output } from './output.ts'
import { isInteractive } from './terminal/capabilities.ts'

export type Ui = 'tty' | 'plain' | 'json' | 'quiet'

export interface Progress {
  readonly ui: Ui
  /** What was on record before this execution: not shown again, but what is shown builds on it. */
  earlier(entries: Iterable<Entry>): void
  entries(entries: readonly Entry[]): void
  /** One sentence for the person at the terminal. */
  warn(message: string): void
  /** Takes down what moves. What is written next stands below what was said. */
  close(): void
}

export interface ProgressOptions {
  readonly pipeline: Pipeline | undefined
  readonly output: Output
  /** What a key asks of the run; absent: keys are not read. */
  readonly act?: ((action: KeyAction) => void) | undefined
  /** Short id once the run id is known. */
  readonly shorten: (runId: string) => string
  /** Where the files of the run are. */
  readonly directoryOf: (runId: string) => string
}

/** How progress is shown where the user named nothing else: live on a terminal, lines elsewhere. */
export function chooseUi(option: unknown): Ui {
  if (option === 'tty' || option === 'plain' || option === 'json' || option === 'quiet') return option
  return isInteractive(process.stderr) && !process.env['CI'] ? 'tty' : 'plain'
}

export async function createProgress(ui: Ui, options: ProgressOptions): Promise<Progress> {
  const { output } = options
  const warn = (message: string): void => output.say(`spanwright: ${message}`)
  switch (ui) {
    case 'quiet':
      return { ui, earlier: () => {}, entries: () => {}, warn, close: () => {} }
    case 'json':
      return {
        ui,
        earlier: () => {},
        entries: (entries) => output.result(...entries.map((entry) => JSON.stringify(entry))),
        warn,
        close: () => {},
      }
    case 'plain': {
      const questions = openQuestions()
      const show = (entries: readonly Entry[]): void => {
        const told = entries.flatMap((entry) => [entry, ...questions.askedAgain(entry)])
        output.say(...told.flatMap((entry) => plainLine(entry, output.progressLook) ?? []))
      }
      return { ui, earlier: questions.earlier, entries: show, warn, close: () => {} }
    }
    case 'tty': {
      const { startLive } = await import('./live/live.ts')
      const view = newRunView(options.pipeline)
      const live = startLive(view, options)
      const take = (entries: readonly Entry[]): void => {
        for (const entry of entries) foldEntry(view, entry)
      }
      const earlier = (entries: Iterable<Entry>): void => {
        for (const entry of entries) foldEntry(view, entry)
      }
      return {
        ui,
        earlier,
        entries: take,
        warn: (message) => live.above(`spanwright: ${message}`),
        close: () => live.close(),
      }
    }
  }
}
