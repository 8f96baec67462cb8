// Keys of the live view: moving, finding the error, answering a gate only after it is asked once more.
import { expect, test } from 'vitest'
import { keysIn } from '../../src/cli/live/keyboard.ts'
import { pressKey, promptOf, type KeyAction, type KeyState } from '../../src/cli/live/keys.ts'
import { failureOf, gateNode, pipelineOf, runNode, Told } from './view-entries.ts'

const drawing = { look: { columns: 100, color: false, ascii: false }, now: 0 }

function running(): Told {
  const told = new Told(pipelineOf('release', [runNode('build'), runNode('lint', []), gateNode('ship', [])]))
  told
    .start('build')
    .attempt('build')
    .ended('build', { failure: failureOf('exit_nonzero', 'no') })
  told
    .finish('build', { failure: failureOf('exit_nonzero', 'no') })
    .start('lint')
    .attempt('lint')
    .start('ship', 'gate')
  return told.add({
    type: 'gate.opened',
    node: 'ship',
    visit: 1,
    question: 'Ship it?',
    choices: ['approve', 'reject'],
    reject: ['reject'],
  })
}

/** The actions that a row of keys leads to, and where it ends. */
function press(told: Told, keys: readonly string[], from: KeyState = {}): { actions: KeyAction[]; state: KeyState } {
  const actions: KeyAction[] = []
  let state = from
  for (const key of keys) {
    const step = pressKey(state, key, told.view, drawing)
    state = step.state
    if (step.action) actions.push(step.action)
  }
  return { actions, state }
}

test('moves over rows and stops at the ends', () => {
  const told = running()
  expect(press(told, ['j']).state.focus).toBe('build')
  expect(press(told, ['\u001b[B', 'j', 'j', 'j']).state.focus).toBe('ship')
  expect(press(told, ['j', 'j', 'k', 'k', 'k']).state.focus).toBe('build')
  expect(press(told, ['e']).state.focus).toBe('build')
})

test('a gate is answered only from its focused row, and only after y', () => {
  const told = running()
  expect(press(told, ['a', 'y']).actions).toEqual([])
  const focused = { focus: 'ship' }
  expect(promptOf(press(told, ['a'], focused).state, told.view)).toBe('approve? y/n')
  expect(press(told, ['a', 'n'], focused).actions).toEqual([])
  expect(press(told, ['a', 'y'], focused).actions).toEqual([{ type: 'answer', gate: 'ship', choice: 'approve' }])
  expect(press(told, ['x', 'y'], focused).actions).toEqual([])
})

test('an answer can have a comment', () => {
  const keys = ['n', 'n', 'o', 't', '!', '\u007f', '\r', 'r', 'y']
  expect(press(running(), keys, { focus: 'ship' }).actions).toEqual([
    { type: 'answer', gate: 'ship', choice: 'reject', comment: 'not' },
  ])
  expect(press(running(), ['n', 'x', '\u001b', 'a'], { focus: 'lint' }).actions).toEqual([])
})

test('a gate that was answered elsewhere meanwhile takes no answer', () => {
  const told = running()
  const { state } = press(told, ['a'], { focus: 'ship' })
  told.add({ type: 'gate.answered', node: 'ship', visit: 1, choice: 'reject', by: { kind: 'user', user: 'mara' } })
  expect(press(told, ['y'], state)).toEqual({ actions: [], state: { focus: 'ship' } })
})

test('cancel asks once; help goes away with any key', () => {
  expect(press(running(), ['c', 'y']).actions).toEqual([{ type: 'cancel' }])
  expect(press(running(), ['c', 'q', 'y']).actions).toEqual([])
  expect(promptOf(press(running(), ['?']).state, running().view)).toContain('Ctrl-C')
  expect(press(running(), ['?', 'x']).state.asking).toBeUndefined()
})

test('escape sequences are one key', () => {
  expect(keysIn('\u001b[Aj\u001bOBä\u0003')).toEqual(['\u001b[A', 'j', '\u001bOB', 'ä', '\u0003'])
})
