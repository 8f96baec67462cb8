// Owns: what keys do in the live view, as a pure step: state, key, view → state, and what is asked of the run. A stray
// key answers nothing: a choice and a cancel are asked for once more. Must not: read the keyboard (keyboard.ts).
import { choiceKeys, type Drawing } from './row-detail.ts'
import { treeRows } from './rows.ts'
import type { GateView, RunView } from './run-view.ts'

export interface KeyState {
  readonly focus?: string | undefined
  readonly asking?:
    | { readonly what: 'choice'; readonly gate: string; readonly choice: string; readonly comment?: string }
    | { readonly what: 'comment'; readonly gate: string; readonly text: string }
    | { readonly what: 'commented'; readonly gate: string; readonly text: string }
    | { readonly what: 'cancel' }
    | { readonly what: 'help' }
    | undefined
}
export type KeyAction =
  | { readonly type: 'answer'; readonly gate: string; readonly choice: string; readonly comment?: string }
  | { readonly type: 'cancel' }
export interface KeyStep {
  readonly state: KeyState
  readonly action?: KeyAction
}

const UP = ['\u001b[A', '\u001bOA', 'k']
const DOWN = ['\u001b[B', '\u001bOB', 'j']
const ENTER = ['\r', '\n']
const BACK = ['\u007f', '\b']

/** Takes one key (a character or an escape sequence). */
export function pressKey(state: KeyState, key: string, view: RunView, drawing: Drawing): KeyStep {
  const { asking } = state
  if (asking) return answerAsked(state, asking, key, view)
  if (key === '?') return { state: { ...state, asking: { what: 'help' } } }
  if (key === 'c') return { state: { ...state, asking: { what: 'cancel' } } }
  if (UP.includes(key) || DOWN.includes(key))
    return { state: { ...state, focus: moved(state, view, drawing, UP.includes(key) ? -1 : 1) } }
  if (key === 'e') return { state: { ...state, focus: firstError(view, drawing) ?? state.focus } }
  const gate = focusedGate(state, view)
  if (!gate) return { state }
  if (key === 'n') return { state: { ...state, asking: { what: 'comment', gate: gate.path, text: '' } } }
  const choice = choiceKeys(gate.choices).get(key)
  return choice === undefined ? { state } : { state: { ...state, asking: { what: 'choice', gate: gate.path, choice } } }
}

/** What stands in place of the key hints; undefined when nothing is asked. */
export function promptOf(state: KeyState, view: RunView): string | undefined {
  const { asking } = state
  switch (asking?.what) {
    case undefined:
      return undefined
    case 'choice':
      return `${asking.choice}? y/n`
    case 'comment':
      return `comment: ${asking.text}_   (Enter goes on, Esc gives up)`
    case 'commented':
      return [...choiceKeys(view.gates.get(asking.gate)?.choices ?? [])]
        .map(([key, choice]) => `[${key}] ${choice}`)
        .join('  ')
    case 'cancel':
      return 'cancel the run? y/n'
    case 'help':
      return 'up, down: move   e: first error   c: cancel   on a gate: its letters, n: answer with a comment   Ctrl-C: cancel, twice: now'
  }
}

const focusedGate = (state: KeyState, view: RunView): GateView | undefined =>
  state.focus === undefined ? undefined : view.gates.get(state.focus)

function moved(state: KeyState, view: RunView, drawing: Drawing, by: 1 | -1): string | undefined {
  const paths = treeRows(view, drawing).flatMap(({ path }) => path ?? [])
  if (paths.length === 0) return undefined
  const at = state.focus === undefined ? -1 : paths.indexOf(state.focus)
  if (at < 0) return by > 0 ? paths[0] : paths.at(-1)
  return paths[Math.min(paths.length - 1, Math.max(0, at + by))]
}

function firstError(view: RunView, drawing: Drawing): string | undefined {
  const bad = treeRows(view, drawing).filter(
    ({ mark, path }) =>
      path !== undefined && (mark === 'failure' || mark === 'error' || mark === 'timeout' || mark === 'breaker'),
  )
  // The deepest of the first failing group is where it went wrong.
  const first = bad[0]
  return bad.findLast(({ path }) => first?.path !== undefined && path?.startsWith(first.path))?.path ?? first?.path
}

function answerAsked(state: KeyState, asking: NonNullable<KeyState['asking']>, key: string, view: RunView): KeyStep {
  const idle: KeyState = { focus: state.focus }
  const gate = 'gate' in asking ? view.gates.get(asking.gate) : undefined
  if ('gate' in asking && !gate) return { state: idle }
  if (asking.what === 'help' || key === '\u001b') return { state: idle }
  if (asking.what === 'cancel') return key === 'y' ? { state: idle, action: { type: 'cancel' } } : { state: idle }
  if (asking.what === 'choice') {
    if (key !== 'y') return { state: idle }
    const comment = asking.comment === undefined || asking.comment === '' ? {} : { comment: asking.comment }
    return { state: idle, action: { type: 'answer', gate: asking.gate, choice: asking.choice, ...comment } }
  }
  if (asking.what === 'commented') {
    const choice = choiceKeys(gate!.choices).get(key)
    return {
      state:
        choice === undefined
          ? idle
          : { ...idle, asking: { what: 'choice', gate: asking.gate, choice, comment: asking.text } },
    }
  }
  if (ENTER.includes(key))
    return { state: { ...idle, asking: { what: 'commented', gate: asking.gate, text: asking.text } } }
  const text = BACK.includes(key) ? asking.text.slice(0, -1) : /^\P{C}+$/u.test(key) ? asking.text + key : asking.text
  return { state: { ...idle, asking: { ...asking, text } } }
}
