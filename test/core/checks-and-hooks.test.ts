// DESIGN 3, Checks and Hooks: order, what stops an attempt, what a failing one changes.
import { describe, expect, test } from 'vitest'
import {
  attempts,
  cause,
  chain,
  killed,
  play,
  playUntil,
  results,
  SIGINT,
  worldOf,
  type Answer,
} from '../support/play.ts'
import type { Script } from '../support/world.ts'

/** Answers of checks and hooks by name; attempts by node id. */
const by = (answers: { readonly [name: string]: Answer | string | readonly (Answer | string)[] }): Script => {
  const asked = new Map<string, number>()
  return (command) => {
    const name = command.kind === 'attempt' ? command.node.id : command.kind === 'summary' ? 'summary' : command.name
    const found = answers[name] ?? {}
    const nth = asked.get(name) ?? 0
    asked.set(name, nth + 1)
    const answer = Array.isArray(found) ? found[Math.min(nth, found.length - 1)] : found
    return typeof answer === 'string' ? (answer === 'ok' ? {} : { fail: answer }) : (answer as Answer)
  }
}

describe('checks', () => {
  const nodes = `nodes: [{ id: a, run: x, retry: { max_attempts: 2, initial: 1s }, checks: [{ name: b1, run: x, level: L1 }, { name: c2, run: x, level: L2 }, { name: a0, run: x, level: L0 }, { name: d1, run: x }] }]`
  test('run after a main action that succeeded, in order of level, else as written', async () => {
    const world = await play(nodes)
    expect(world.lines('attempt.started', 'attempt.acted', 'check.started', 'attempt.finished')).toEqual([
      'attempt.started a@1.1',
      'attempt.acted a@1.1',
      'check.started a@1.1 a0',
      'check.started a@1.1 b1',
      'check.started a@1.1 d1',
      'check.started a@1.1 c2',
      'attempt.finished a@1.1 success',
    ])
    expect(world.events('check.started').map((event) => [event.name, event.index, event.level])).toEqual([
      ['a0', 2, 'L0'],
      ['b1', 0, 'L1'],
      ['d1', 3, 'L1'],
      ['c2', 1, 'L2'],
    ])
  })
  test('do not run after a failure', async () => {
    const world = await play(nodes, by({ a: 'boom' }))
    expect(world.events('check.started')).toEqual([])
  })
  test("the first failing required one ends the attempt as check_failed, with the command's own reason in causes; the next attempt checks again", async () => {
    const world = await play(nodes, by({ b1: ['2 tests failed', 'ok'] }))
    expect(world.lines('check.finished', 'attempt.finished')).toEqual([
      'check.finished a@1.1 a0',
      'check.finished a@1.1 b1',
      'attempt.finished a@1.1 failure',
      'check.finished a@1.2 a0',
      'check.finished a@1.2 b1',
      'check.finished a@1.2 d1',
      'check.finished a@1.2 c2',
      'attempt.finished a@1.2 success',
    ])
    const { failure } = world.events('attempt.finished')[0]!
    expect(failure).toMatchObject({ code: 'check_failed', source: 'check', attempt_id: 'a@1.1' })
    expect(chain(failure)).toEqual(['check_failed', 'exit_nonzero'])
    expect(cause(failure)).toBe('2 tests failed')
    expect(failure!.signature, "its signature is the cause's").toBe(failure!.causes![0]!.signature)
    expect(world.finished.result).toBe('success')
  })
  test('one that is not required is on record and changes nothing', async () => {
    const world = await play(
      'nodes: [{ id: a, run: x, checks: [{ name: lint, run: x, required: false }, { name: tests, run: x }] }]',
      by({ lint: 'style' }),
    )
    expect(
      world.events('check.finished').map((event) => [event.name, event.passed, event.required, event.failure?.code]),
    ).toEqual([
      ['lint', false, false, 'check_failed'],
      ['tests', true, true, undefined],
    ])
    expect(world.finished.result).toBe('success')
  })
  test('label and outputs of the main action are kept; result and label are visible to the check', async () => {
    const world = await play(
      `nodes: [{ id: a, run: x, checks: [{ name: c, run: [echo, '\${{ result }}', '\${{ label }}'] }] }]`,
      by({ a: { label: 'approve', outputs: { n: 1 }, usage: { input: 3, cache_read: 0, cache_write: 0, output: 0 } } }),
    )
    expect(world.events('check.started')[0]!.inputs).toEqual({ result: 'success', label: 'approve' })
    expect(world.events('node.finished')[0]).toMatchObject({
      label: 'approve',
      outputs: { n: 1 },
      rollup: { tokens: { input: 3 } },
    })
  })
  test("10 min each by default, outside the attempt's timeout", async () => {
    const seen: number[] = []
    await play(
      'nodes: [{ id: a, run: x, timeout: 1s, checks: [{ name: c, run: x }, { name: d, run: x, timeout: 5s }] }]',
      (command) => (command.kind === 'check' && seen.push(command.timeout_ms), {}),
    )
    expect(seen).toEqual([600_000, 5_000])
  })
  test('an expression that fails is a failed check', async () => {
    const world = await play(
      `nodes: [{ id: z, run: x }, { id: a, run: x, checks: [{ name: c, run: [echo, '\${{ nodes.z.outputs.n }}'] }] }]`,
    )
    expect(chain(world.finished.failure)).toEqual(['check_failed', 'config_invalid'])
  })
  test('a cancel ends a running check', async () => {
    const world = await worldOf(nodes, by({ a0: { takes: 60_000 } }))
    playUntil(world.create(), 'check.started').tell(SIGINT)
    expect(world.play().finished.result).toBe('cancellation')
    expect(world.lines('check.started', 'check.finished')).toHaveLength(2)
  })
  test('killed during a check: the attempt is lost, the next one acts again', async () => {
    const world = await worldOf(nodes, by({ a0: { takes: 60_000 } }))
    const next = killed(playUntil(world.create(), 'check.started'))
    next.tell({ type: 'resume' })
    expect(next.play().finished.result).toBe('success')
    expect(attempts(next)).toEqual(['a@1.1', 'a@1.2'])
    expect(next.lines('check.started').filter((line) => line.includes('1.2'))).toHaveLength(4)
  })

  const fanout = `nodes: [{ id: f, checks: [{ name: late, run: x, level: L2 }, { name: early, run: x, level: L0 }], fanout: { count: 2, nodes: [{ id: s, run: x }] } }, { id: z, run: x }]`
  test('on a fan-out they run after the join', async () => {
    const world = await play(fanout)
    expect(world.lines('branch.finished', 'check.started', 'node.finished').slice(1)).toEqual([
      'branch.finished f 0 success',
      'node.finished f:1/s success',
      'branch.finished f 1 success',
      'check.started f early',
      'check.started f late',
      'node.finished f success',
      'node.finished z success',
    ])
  })
  test('on a fan-out they do not run after a join that is not met', async () => {
    const world = await play(fanout, by({ s: 'boom' }))
    expect(world.events('check.started')).toEqual([])
    expect(world.finished.failure?.code).toBe('branch_failed')
  })
  test('a failing one fails the fan-out', async () => {
    const world = await play(fanout, by({ early: 'not merged' }))
    expect(world.lines('check.started')).toEqual(['check.started f early'])
    expect(results(world)).toMatchObject({ f: 'failure', z: 'skip: upstream_failed' })
    expect(chain(world.finished.failure)).toEqual(['check_failed', 'exit_nonzero'])
  })
  test("canceled during a fan-out's check, it is checked again after a resume", async () => {
    const world = await worldOf(fanout, by({ early: [{ takes: 1_000 }, {}] }))
    playUntil(world.create(), 'check.started').tell(SIGINT)
    expect(world.play().finished).toMatchObject({
      result: 'cancellation',
      failure: { code: 'canceled' },
      resumable: true,
    })
    world.tell({ type: 'resume' })
    expect(world.play().finished.result).toBe('success')
    expect(attempts(world).filter((id) => id.startsWith('f'))).toHaveLength(2)
  })
  test("killed during a fan-out's check, the branches are not run again", async () => {
    const world = await worldOf(fanout, by({ early: [{ takes: 1_000 }, {}] }))
    const next = killed(playUntil(world.create(), 'check.started'))
    next.tell({ type: 'resume' })
    expect(next.play().finished.result).toBe('success')
    expect(attempts(next).filter((id) => id.startsWith('f'))).toHaveLength(2)
    expect(next.lines('check.started')).toEqual([
      'check.started f early',
      'check.started f early',
      'check.started f late',
    ])
  })
})

describe('hooks', () => {
  const list =
    '{ on_success: [{ name: s, run: x }], on_failure: [{ name: f, run: x }], on_finish: [{ name: e, run: x }]'
  const node = `nodes: [{ id: a, run: x, retry: { max_attempts: 2, initial: 1s }, hooks: ${list}, on_retry: [{ name: r, run: x }] } }]`
  test.each<[string, Answer | readonly Answer[], readonly string[]]>([
    ['success', {}, ['s success', 'e success']],
    ['failure', { fail: 'boom' }, ['r failure', 'f failure', 'e failure']],
    ['error', { fail: 'signaled' }, ['r error', 'f error', 'e error']],
    ['timeout', { fail: 'timed_out' }, ['r timeout', 'f timeout', 'e timeout']],
    ['success after a retry', [{ fail: 'boom' }, {}], ['r failure', 's success', 'e success']],
    ['skip', { skipped: true }, ['e skip']],
  ])('of a node, %s', async (_, answer, expected) => {
    const world = await play(node, by({ a: answer }))
    expect(world.events('hook.started').map((event) => `${event.name} ${event.result}`)).toEqual(expected)
    expect(world.entries.findLastIndex(({ event }) => event.type === 'hook.finished')).toBeLessThan(
      world.entries.findIndex(({ event }) => event.type === 'node.finished'),
    )
  })
  test.each([
    ['success', 'ok', ['s', 'e']],
    ['failure', 'boom', ['f', 'e']],
  ])('of the run, %s', async (result, answer, expected) => {
    const world = await play(`hooks: ${list} }\nnodes: [{ id: a, run: x }]`, by({ a: answer }))
    expect(world.events('hook.started').map((event) => event.name)).toEqual(expected)
    expect(world.events('hook.started').map((event) => event.node)).toEqual([undefined, undefined])
    expect(world.finished.result).toBe(result)
    expect(world.entries.at(-1)!.event.type).toBe('run.finished')
  })
  test('60 s each; they are told result and failure', async () => {
    const told: unknown[] = []
    await play(
      `hooks: ${list} }\nnodes: [{ id: f1, hooks: ${list} }, fanout: { count: 1, nodes: [{ id: a, run: x, hooks: ${list} } }] } }]`,
      (command) => {
        if (command.kind === 'hook')
          told.push([command.place.node, command.name, command.timeout_ms, command.result, command.failure?.code])
        return command.kind === 'attempt' ? { fail: 'boom' } : {}
      },
    )
    expect(told).toEqual([
      ['f1:0/a', 'f', 60_000, 'failure', 'exit_nonzero'],
      ['f1:0/a', 'e', 60_000, 'failure', 'exit_nonzero'],
      ['f1', 'f', 60_000, 'failure', 'branch_failed'],
      ['f1', 'e', 60_000, 'failure', 'branch_failed'],
      ['', 'f', 60_000, 'failure', 'branch_failed'],
      ['', 'e', 60_000, 'failure', 'branch_failed'],
    ])
  })
  test('expressions see result, label and failure', async () => {
    const world = await play(
      `nodes: [{ id: a, run: x, hooks: { on_failure: [[echo, '\${{ result }}', '\${{ failure.message }}']] } }]`,
      by({ a: 'boom' }),
    )
    expect(world.events('hook.started')[0]!.inputs).toEqual({ result: 'failure', 'failure.message': 'boom' })
  })
  test('after a cancel only on_finish, 10 s', async () => {
    const seen: unknown[] = []
    const world = await worldOf(`hooks: ${list} }\n${node}`, (command) => {
      if (command.kind === 'hook') seen.push([command.place.node, command.name, command.timeout_ms])
      return { takes: 1_000 }
    })
    world.create().tell(SIGINT)
    expect(world.play().finished.result).toBe('cancellation')
    expect(seen).toEqual([
      ['a', 'e', 10_000],
      ['', 'e', 10_000],
    ])
  })
  test("a failed hook never changes the node's result; a run that would be a success is then hook_failed", async () => {
    const world = await play(node, by({ s: 'no network', e: 'no disk' }))
    expect(results(world)).toEqual({ a: 'success' })
    expect(world.finished).toMatchObject({
      result: 'failure',
      failure: { code: 'hook_failed', source: 'hook' },
      resumable: false,
    })
    expect(cause(world.finished.failure)).toBe('no network')
    expect(
      world.finished.hook_failures.map((failed) => [failed.node, failed.hook, failed.name, cause(failed.failure)]),
    ).toEqual([
      ['a', 'on_success', 's', 'no network'],
      ['a', 'on_finish', 'e', 'no disk'],
    ])
    expect(world.finished.children, 'no node failed').toMatchObject({ failed: 0 })
  })
  test('the same for hooks of the run', async () => {
    const world = await play(`hooks: ${list} }\nnodes: [{ id: a, run: x }]`, by({ s: 'no network' }))
    expect(world.finished).toMatchObject({ result: 'failure', failure: { code: 'hook_failed' } })
    expect(world.events('run.concluded')[0]!.result).toBe('success')
  })
  test('a run that failed keeps its own reason', async () => {
    const world = await play(node, by({ a: 'boom', f: 'no network' }))
    expect(world.finished).toMatchObject({ result: 'failure', failure: { message: 'boom' } })
    expect(world.finished.hook_failures).toHaveLength(1)
  })
  test('on_retry runs before the next attempt, and its failure does not stop it', async () => {
    const world = await play(node, by({ a: ['boom', 'ok'], r: { takes: 5_000, fail: 'no network' } }))
    expect(world.lines('retry.scheduled', 'hook.started', 'hook.finished', 'attempt.started')).toEqual([
      'attempt.started a@1.1',
      'retry.scheduled a@1.1',
      'hook.started a r failure',
      'hook.finished a r',
      'attempt.started a@1.2',
      'hook.started a s success',
      'hook.finished a s',
      'hook.started a e success',
      'hook.finished a e',
    ])
    expect(world.finished.hook_failures).toHaveLength(1)
  })
  test('a hook whose expression fails has failed', async () => {
    const world = await play(
      `nodes: [{ id: z, run: x }, { id: a, run: x, hooks: { on_success: [{ name: h, run: [echo, '\${{ nodes.z.outputs.n }}'] }] } }]`,
    )
    expect(results(world)['a']).toBe('success')
    expect(chain(world.finished.failure)).toEqual(['hook_failed', 'config_invalid'])
  })
  test('a node that never began runs its hooks too', async () => {
    const world = await play(
      `nodes: [{ id: z, run: x }, { id: a, run: x, when: 'nodes.z.outputs.n == 1', hooks: ${list} } }]`,
    )
    expect(world.events('hook.started').map((event) => event.name)).toEqual(['f', 'e'])
  })
  test('a skipped node has none', async () => {
    expect((await play(`nodes: [{ id: a, run: x, when: 'false', hooks: ${list} } }]`)).events('hook.started')).toEqual(
      [],
    )
  })
})

describe('gates', () => {
  const gate = (more = '', rest = ''): string =>
    `nodes: [{ id: g, gate: { question: "Ship \${{ run.name }}?"${more} }${rest} }, { id: z, run: x, when: 'nodes.g.label == "approve"' }]`
  const answer = (choice: string, node = 'g') =>
    ({ type: 'gate.answer', node, choice, by: { kind: 'user', user: 'ada' }, comment: 'fine' }) as const
  test('waits for a person; an answer gives success and the label', async () => {
    const world = await play(gate())
    expect(world.events('gate.opened')[0]).toMatchObject({
      node: 'g',
      question: 'Ship tested?',
      choices: ['approve', 'reject'],
      reject: ['reject'],
    })
    expect(world.state.phase, 'it goes on waiting').toBe('running')
    expect(world.tell(answer('approve'))).toBeUndefined()
    expect(world.play().events('gate.answered')[0]).toMatchObject({
      choice: 'approve',
      by: { kind: 'user', user: 'ada' },
      comment: 'fine',
    })
    expect(results(world)).toEqual({ g: 'success', z: 'success' })
  })
  test('a choice in `reject` (default: one named reject) is gate_rejected', async () => {
    const world = await play(gate())
    world.tell(answer('reject'))
    expect(world.play().finished).toMatchObject({
      result: 'failure',
      failure: { code: 'gate_rejected', class: 'human', source: 'gate' },
    })
    const own = await play(gate(', choices: [yes_please, never], reject: [never]'))
    own.tell(answer('never'))
    expect(own.play().finished.failure?.code).toBe('gate_rejected')
    const none = await play(gate(', choices: [approve, reject], reject: []'))
    none.tell(answer('reject'))
    expect(none.play().finished.result).toBe('success')
  })
  test('an unknown choice or gate is refused and changes nothing', async () => {
    const world = await play(gate())
    const before = world.entries.length
    expect(world.tell(answer('maybe'))).toMatchObject({
      refused: 'invalid',
      message: expect.stringContaining('approve, reject'),
    })
    expect(world.tell(answer('approve', 'other'))).toMatchObject({
      refused: 'not_found',
      message: expect.stringContaining('open: g'),
    })
    expect(world.entries.length).toBe(before)
    world.tell(answer('approve'))
    world.play()
    expect(world.tell(answer('approve'))).toMatchObject({ refused: expect.any(String) })
  })
  test.each([
    ['approve', 'success', undefined],
    ['reject', 'failure', 'gate_rejected'],
  ])('expiry with default %s: gate.expired, then gate.answered by default', async (choice, result, code) => {
    const world = await play(gate(`, timeout: 10s, default: ${choice}`))
    expect(world.lines('gate.opened', 'gate.expired', 'gate.answered')).toEqual([
      'gate.opened g',
      'gate.expired g',
      'gate.answered g',
    ])
    expect(world.events('gate.answered')[0]).toMatchObject({ choice, by: { kind: 'default' } })
    expect(world.finished.result).toBe(result)
    expect(world.finished.failure?.code).toBe(code)
  })
  test('expiry without default: gate_expired', async () => {
    const world = await play(gate(', timeout: 10s'))
    expect(world.finished).toMatchObject({ result: 'failure', failure: { code: 'gate_expired', class: 'human' } })
    expect(world.events('gate.answered')).toEqual([])
  })
  test('a cancel ends it', async () => {
    const world = await play(gate())
    world.tell(SIGINT)
    expect(world.play().finished.result).toBe('cancellation')
    expect(world.tell(answer('approve'))).toMatchObject({ refused: 'not_found' })
  })
  test('it survives the process; one whose time passed meanwhile fires', async () => {
    const open = killed(await play(gate()))
    open.tell({ type: 'resume' })
    expect(open.events('gate.opened'), 'asked once').toHaveLength(1)
    open.tell(answer('approve'))
    expect(open.play().finished.result).toBe('success')
    const world = await worldOf(gate(', timeout: 10s, default: approve'))
    const late = killed(world.create())
    late.now += 60_000
    late.tell({ type: 'resume' })
    expect(late.play().finished.result).toBe('success')
    expect(late.lines('gate.expired', 'gate.answered')).toEqual(['gate.expired g', 'gate.answered g'])
  })
  test("killed between expiry and the default's answer, the answer follows", async () => {
    const world = await play(gate(', timeout: 10s, default: approve'))
    const cut = world.entries.findIndex(({ event }) => event.type === 'gate.expired') + 1
    const next = killed(world, cut)
    next.tell({ type: 'resume' })
    expect(next.play().lines('gate.opened', 'gate.expired', 'gate.answered')).toEqual([
      'gate.opened g',
      'gate.expired g',
      'gate.answered g',
    ])
    expect(next.finished.result).toBe('success')
  })
  test("in a branch it has the branch's path", async () => {
    const world = await play('nodes: [{ id: f, fanout: { each: [a, b], nodes: [{ id: g, gate: { question: q } }] } }]')
    expect([...world.state.gates.keys()]).toEqual(['f:a/g', 'f:b/g'])
    world.tell(answer('approve', 'f:a/g'))
    world.tell(answer('reject', 'f:b/g'))
    expect(chain(world.play().finished.failure)).toEqual(['branch_failed', 'gate_rejected'])
  })
})
