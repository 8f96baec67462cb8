// The compiled test of events must say what zod says, for every type and every way of spoiling a field.
import { describe, expect, test } from 'vitest'
import { EVENT_TYPES, eventSchema } from '../../src/core/events.ts'
import { eventProblem } from '../../src/journal/event-check.ts'
import { EVERY_EVENT } from './sample-events.ts'

const OTHERS: readonly unknown[] = [undefined, null, 0, 'text', true, [], {}, ['x'], [1], { a: 1 }]

/** The value with one place at a time replaced by something else, or left out. */
function* spoiled(value: unknown): Generator<unknown> {
  for (const other of OTHERS) yield other
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) for (const bad of spoiled(item)) yield value.with(i, bad)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) for (const bad of spoiled(item)) yield { ...value, [key]: bad }
  }
}
const parsed = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('the cheap check of an event', () => {
  test('there is a sample of every event type', () => {
    expect([...new Set(EVERY_EVENT.map((event) => event.type))].toSorted()).toEqual([...EVENT_TYPES].toSorted())
  })

  test.each(EVERY_EVENT.map((event) => [event.type, event] as const))(
    '%s: accepts and refuses what the schema does',
    (_, event) => {
      expect(eventProblem(parsed(event), false)).toBeUndefined()
      expect(eventProblem(parsed(event), true)).toBeUndefined()
      for (const bad of spoiled(event)) {
        if (typeof bad !== 'object' || bad === null) continue
        const value = parsed(bad)
        const accepted = eventSchema.safeParse(value).success
        expect([eventProblem(value, false) === undefined, value]).toEqual([accepted, value])
      }
    },
  )

  test('says which type or field is wrong', () => {
    expect(eventProblem({ type: 'run.vanished' }, false)).toBe('its event type "run.vanished" is unknown')
    expect(eventProblem({}, false)).toBe('it has no event with a type')
    expect(eventProblem({ type: 'route.taken', node: 'a', visit: '1', to: 'b', index: 0 }, false)).toMatch(
      /^its event route\.taken is malformed at visit: /,
    )
  })
})
