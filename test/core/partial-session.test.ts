// What is remembered of a conversation that an attempt used without telling its new totals.
import { expect, test } from 'vitest'
import type { NodeState } from '../../src/core/node-state.ts'
import type { Session } from '../../src/core/outcome.ts'
import { rememberSession } from '../../src/core/sessions.ts'
import type { RunState } from '../../src/core/state.ts'

const totals = { input: 100, cache_read: 0, cache_write: 0, output: 10, reasoning: 0 }

function remembered(...told: readonly Session[]): Session | undefined {
  const state = { sessions: new Map<string, Session>() } as RunState
  const node = { memory: {} } as NodeState
  for (const session of told) rememberSession(state, node, session)
  return state.sessions.get('s')
}

test('totals are those of the whole conversation only while nobody has used it since', () => {
  const known = { id: 's', agent: 'codex', totals }
  const begun = { id: 's', agent: 'codex' }
  expect(remembered(begun)).toEqual(begun)
  expect(remembered(begun, known)).toEqual(known)
  // The attempt that began last was lost, or is at work.
  expect(remembered(known, begun)).toEqual({ ...known, partial: true })
  expect(remembered(known, begun, begun)).toEqual({ ...known, partial: true })
  expect(remembered(known, begun, known)).toEqual(known)
  expect(remembered(known, { ...known, partial: true }, begun)).toEqual({ ...known, partial: true })
})
