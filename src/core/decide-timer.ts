// Owns: timers that went off.
import { timerId } from './command-queue.ts'
import type { Event, EventOf } from './events.ts'
import type { InputOf, Refusal } from './inputs.ts'
import { nodeAt, type RunState } from './state.ts'

type TimerKind = EventOf<'timer.fired'>['timer'] | 'gate'

/** A timer that is pending is a fact on record once it fires; one that is not any more is ignored. */
export function decideTimer(state: RunState, input: InputOf<'timer.fired'>): Event[] | Refusal {
  const command = state.commands.get(input.id)
  if (command?.kind !== 'timer') return { refused: 'stale', message: `No timer ${input.id} is set` }
  if (command.due > input.now) return { refused: 'stale', message: `Timer ${input.id} is not due yet` }
  const colon = input.id.indexOf(':')
  const timer = (colon < 0 ? input.id : input.id.slice(0, colon)) as TimerKind
  const rest = colon < 0 ? '' : input.id.slice(colon + 1)
  if (input.id === timerId.cancel || timer === 'budget')
    return [{ type: 'timer.fired', timer: timer as 'cancel' | 'budget', id: input.id }]
  if (timer === 'limit') {
    const node = state.attempts.get(rest)
    return node
      ? [{ type: 'timer.fired', timer, id: input.id, node: node.path, visit: node.visits, attempt_id: rest }]
      : { refused: 'stale', message: `${rest} has ended` }
  }
  const node = nodeAt(state, rest.slice(0, rest.lastIndexOf('@')))
  if (!node) return { refused: 'stale', message: `No node for timer ${input.id}` }
  if (timer === 'gate')
    return [
      {
        type: 'gate.expired',
        node: node.path,
        visit: node.visits,
        ...(node.gate?.default !== undefined && { default: node.gate.default }),
      },
    ]
  return [{ type: 'timer.fired', timer, id: input.id, node: node.path, visit: node.visits }]
}
