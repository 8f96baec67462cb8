// Owns: the live view in time: repaints at most four times a second, numbers change at most twice, keys, resize.
// Must not: know how lines are drawn (render-live.ts) or put on the screen (painter.ts).
import type { ProgressOptions } from '../progress.ts'
import { lookOf } from '../terminal/capabilities.ts'
import { openKeyboard } from './keyboard.ts'
import { pressKey, promptOf, type KeyState } from './keys.ts'
import { createPainter } from './painter.ts'
import { renderLive, type Screen } from './render-live.ts'
import { readOutputTails } from './output-tail.ts'
import type { RunView } from './run-view.ts'

const REPAINT_MS = 250
const NUMBERS_MS = 500
/** A run that is over by then shows no live view at all. */
const FIRST_PAINT_MS = 150

export interface Live {
  /** A line that stays in the scrollback. */
  above(line: string): void
  close(): void
}

export function startLive(view: RunView, options: ProgressOptions): Live {
  const terminal = process.stderr
  const painter = createPainter(terminal)
  let keys: KeyState = {}
  const screen = (): Screen => {
    const spin = Date.now()
    const now = Math.max(view.lastAt, Math.floor(spin / NUMBERS_MS) * NUMBERS_MS)
    return {
      ...lookOf(terminal),
      rows: terminal.rows || 24,
      now,
      spin,
      focus: keys.focus,
      prompt: promptOf(keys, view),
      keys: keyboard !== undefined,
      shortId: view.runId === '' ? '' : options.shorten(view.runId),
    }
  }
  const paint = (): void => {
    // A gate that opens takes the focus if nothing has it: its letters are read then (and asked for once more).
    if (keys.focus === undefined && view.gates.size > 0) keys = { ...keys, focus: [...view.gates.keys()][0] }
    if (view.startedAt === 0) return
    readOutputTails(view, options.directoryOf(view.runId))
    painter.paint(renderLive(view, screen()))
  }
  const keyboard =
    options.act &&
    openKeyboard((key) => {
      const at = screen()
      const step = pressKey(keys, key, view, { look: at, now: at.now })
      keys = step.state
      if (step.action) options.act?.(step.action)
      paint()
    }, paint)
  let timer = setTimeout(function again(): void {
    paint()
    timer = setTimeout(again, REPAINT_MS)
  }, FIRST_PAINT_MS)
  terminal.on('resize', paint)
  return {
    above(text) {
      painter.clear()
      terminal.write(`${text}\n`)
    },
    close() {
      clearTimeout(timer)
      terminal.off('resize', paint)
      keyboard?.close()
      painter.close()
    },
  }
}
