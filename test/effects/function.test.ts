// TypeScript steps: what they get, what they may return or throw, how they end, whose span is active.
import { once } from 'node:events'
import { propagation, trace } from '@opentelemetry/api'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace'
import { describe, expect, test } from 'vitest'
import type { CallContext, CallFunction } from '../../src/core/call.ts'
import type { Stop } from '../../src/core/commands.ts'
import { callAttempt, maskOf, noMask, ofType, until, workbench, type AttemptOptions, type Started } from './support.ts'

const cancel: Stop = { code: 'canceled', message: 'the run was canceled', now: false }
const never = new Promise<never>(() => {})
const rejecting = (error: unknown) => async () => {
  throw error as Error
}

function call(step: unknown, options: AttemptOptions = {}, mask = noMask): Started {
  return workbench({ functions: new Map([['step', step as CallFunction]]), mask }).start(callAttempt('step', options))
}
const failureOf = async (step: unknown, options?: AttemptOptions) => (await call(step, options).done).failure

describe('what a function gets', () => {
  test('params, inputs, item, attempt, retry context, logger', async () => {
    const logged: unknown[] = []
    let seen: CallContext | undefined
    const bench = workbench({
      functions: new Map<string, CallFunction>([
        [
          'step',
          (context) => {
            seen = context
            context.logger.info('hello', { n: 1 })
          },
        ],
      ]),
      logger: { info: (...line) => void logged.push(line), warn: () => {}, error: () => {} },
    })
    const failure = {
      code: 'exit_nonzero',
      class: 'deterministic',
      message: 'it broke',
      source: 'command',
      signature: 's',
      details: { stderr_tail: 'tail of it' },
    } as const
    const command = callAttempt('step', {
      place: { node: 'fan:a/step', visit: 2, env: [{ MODE: '${{ x }}' }] },
      inputs: { x: 'fast' },
      attempt: {
        params: { target: 'prod' },
        item: 'a',
        attempt: 2,
        max: 3,
        id: 'fan:a/step@2.2',
        prior: [{ attempt_id: 'fan:a/step@2.1', failure }],
      },
    })
    expect(await bench.start(command).done).toEqual({ duration_ms: expect.any(Number) })
    expect(seen).toMatchObject({
      params: { target: 'prod' },
      item: 'a',
      inputs: { x: 'fast', MODE: 'fast' },
      attempt: { id: 'fan:a/step@2.2', number: 2, max: 3, visit: 2, node: 'fan:a/step' },
    })
    expect(seen!.retryContext).toMatch(
      /Retry attempt 2\/3[\s\S]*Previous attempt: fan:a\/step@2\.1\nIt ended with exit_nonzero: it broke[\s\S]*tail of it/,
    )
    expect(logged).toEqual([['hello', { node: 'fan:a/step', attempt_id: 'fan:a/step@2.2', n: 1 }]])
  })

  test('a function nobody defined', async () => {
    const { done } = workbench().start(callAttempt('sum'))
    expect((await done).failure).toMatchObject({
      code: 'config_missing',
      message: expect.stringContaining('function sum is not in the pipeline'),
    })
  })
})

describe('what it may return', () => {
  test('JSON outputs, from a function or a promise', async () => {
    expect((await call(() => ({ sum: 3, at: new Date(0), skip: undefined })).done).outputs).toEqual({
      sum: 3,
      at: '1970-01-01T00:00:00.000Z',
    })
    expect((await call(async () => ({ list: [null, { a: true }] })).done).outputs).toEqual({
      list: [null, { a: true }],
    })
    expect((await call(async () => {}).done).outputs).toBeUndefined()
  })

  const cycle: { [name: string]: unknown } = {}
  cycle['deep'] = { back: cycle }
  test.each([
    [() => 3, 'returned a number; expected an object of outputs, or nothing'],
    [() => [1], 'returned an array'],
    [() => ({ n: 10n }), 'outputs.n is a bigint, which JSON cannot hold'],
    [() => ({ list: [() => 1] }), 'outputs.list[0] is a function'],
    [() => ({ n: NaN }), 'outputs.n is NaN'],
    [() => ({ m: new Map() }), 'outputs.m is a Map'],
    [() => cycle, 'outputs.deep.back refers to an object it is part of (a cycle)'],
    [() => ({ p: Promise.resolve(1) }), 'outputs.p is a Promise'],
    [
      () => ({
        get p() {
          throw new Error('no peeking')
        },
      }),
      'outputs cannot be read: no peeking',
    ],
    [() => ({ text: 'x'.repeat(300_000) }), 'write large values to a file'],
  ])('%s is invalid output', async (step, message) => {
    expect(await failureOf(step)).toMatchObject({ code: 'invalid_output', message: expect.stringContaining(message) })
  })

  test('declared outputs, label of a decision, masked secrets', async () => {
    const outputs = { n: { type: 'integer' } }
    expect(await failureOf(() => ({ n: 'x' }), { node: { outputs } })).toMatchObject({ code: 'invalid_output' })
    expect(await failureOf(() => {}, { node: { outputs } })).toMatchObject({
      message: expect.stringContaining('output n is missing'),
    })
    expect((await call(() => ({ label: 'approve' }), { node: { decision: ['approve'] } }).done).label).toBe('approve')
    const { done, observed } = call(() => ({ a: 'hunter22!' }), {}, maskOf('hunter22'))
    expect((await done).outputs).toEqual({ a: '***!' })
    expect(ofType(observed, 'warning.raised')).toHaveLength(1)
  })
})

describe('what it may throw', () => {
  test('an error is a failure with its causes and stack', async () => {
    const failure = await failureOf(() => {
      throw new TypeError('cannot add', { cause: new Error('no numbers') })
    })
    expect(failure).toMatchObject({
      code: 'agent_failed',
      source: 'command',
      message: 'function step failed: TypeError: cannot add',
      details: {
        error: 'TypeError',
        caused_by: ['Error: no numbers'],
        stack: expect.stringContaining('function.test.ts'),
      },
    })
  })

  test.each([
    [Object.assign(new Error('x'), { failure: { code: 'rate_limited', message: 'wait' } }), 'rate_limited', 'wait'],
    [Object.assign(new Error('x'), { code: 'config_missing' }), 'config_missing', 'function step failed: x'],
    [
      new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) }),
      'network',
      'function step failed: TypeError: fetch failed',
    ],
    [Object.assign(new Error('x'), { code: 'canceled' }), 'agent_failed', 'function step failed: x'],
    ['just text', 'agent_failed', 'function step failed: just text'],
    [undefined, 'agent_failed', 'function step failed: undefined'],
  ])('%s', async (error, code, message) => {
    expect(await failureOf(rejecting(error))).toMatchObject({ code, message })
  })
})

describe('how it ends', () => {
  test('a timeout aborts the signal, and the timeout is the reason whatever the function says then', async () => {
    const step = ({ signal }: CallContext) => once(signal, 'abort').then(() => ({ reason: String(signal.reason) }))
    expect(await failureOf(step, { node: { timeout_ms: 30 } })).toMatchObject({
      code: 'timed_out',
      message: 'function step ran longer than its timeout of 30ms',
    })
  })

  test('one that ignores its signal is given up after the grace', async () => {
    const { running, done, outcomes } = call(() => never, { node: { grace_ms: 50 } })
    running.stop(cancel)
    expect((await done).failure).toMatchObject({
      code: 'canceled',
      message: expect.stringContaining('may still be at work'),
    })
    running.stop(cancel)
    expect(outcomes).toHaveLength(1)
  })

  test('"now" does not wait', async () => {
    const { running, done } = call(() => never, { node: { grace_ms: 60_000 } })
    running.stop(cancel)
    running.stop({ ...cancel, now: true })
    expect((await done).failure?.code).toBe('canceled')
  })

  test('the signal tells why', async () => {
    let reason: unknown
    const { running, done } = call(async ({ signal }: CallContext) => {
      await once(signal, 'abort')
      reason = signal.reason
    })
    await new Promise((resolve) => void setImmediate(resolve))
    running.stop({ ...cancel, code: 'superseded', message: 'a route went back' })
    expect((await done).failure).toMatchObject({ code: 'superseded', message: 'a route went back' })
    expect(reason).toMatchObject({ code: 'superseded', message: 'a route went back' })
  })

  test('a stall: no progress; progress keeps it alive and is told', async () => {
    const stalled = call(() => never, { node: { stall_timeout_ms: 40, grace_ms: 10 } })
    expect((await stalled.done).failure).toMatchObject({ code: 'stalled' })
    expect(ofType(stalled.observed, 'stall.detected')).toMatchObject([
      { reason: 'no progress', attempt_id: 'build@1.1' },
    ])
    let ticks = 0
    const alive = call(
      async ({ progress }: CallContext) => {
        while (ticks++ < 20) {
          await new Promise((resolve) => void setTimeout(resolve, 10))
          progress(`tick ${ticks}`)
        }
      },
      { node: { stall_timeout_ms: 150 } },
    )
    expect((await alive.done).failure).toBeUndefined()
    expect(ofType(alive.observed, 'attempt.progressed')).toMatchObject([{ text: 'tick 1' }])
  })

  test('nothing is told after the end', async () => {
    let context: CallContext | undefined
    const { done, observed } = call((given: CallContext) => void (context = given))
    await done
    context!.progress('late')
    expect(observed).toEqual([])
  })
})

test('spans of the user’s own SDK nest under the attempt, each under its own', async () => {
  const exporter = new InMemorySpanExporter()
  const sdk = new NodeSDK({
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [],
    autoDetectResources: false,
  })
  sdk.start()
  try {
    const step = async (): Promise<void> => {
      await trace.getTracer('user').startActiveSpan('outer', async (outer) => {
        await new Promise((resolve) => void setTimeout(resolve, 5))
        trace.getTracer('user').startSpan('inner').end()
        outer.setAttribute('tenant', propagation.getActiveBaggage()?.getEntry('tenant')?.value ?? '').end()
      })
    }
    const spans = ['00000000000000a1', '00000000000000a2']
    await Promise.all(
      spans.map(
        (span) => call(step, { place: { span_id: span, trace_state: 'v=1', baggage: 'tenant=a%20b;p=1,bad' } }).done,
      ),
    )
    const finished = exporter.getFinishedSpans()
    const outer = finished.filter((span) => span.name === 'outer')
    expect(new Set(outer.map((span) => span.parentSpanContext?.spanId))).toEqual(new Set(spans))
    expect(outer[0]!.spanContext()).toMatchObject({ traceId: '0af7651916cd43dd8448eb211c80319c' })
    expect(outer[0]!.attributes).toEqual({ tenant: 'a b' })
    const inner = finished.filter((span) => span.name === 'inner')
    expect(new Set(inner.map((span) => span.parentSpanContext?.spanId))).toEqual(
      new Set(outer.map((span) => span.spanContext().spanId)),
    )
  } finally {
    await sdk.shutdown()
  }
})

test('a wide fan-out of steps that just return arms no timers', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const bench = workbench({ functions: new Map<string, CallFunction>([['step', async () => ({ n: 1 })]]) })
  await bench.start(callAttempt('step')).done
  const before = timers()
  const started = Array.from({ length: 1_000 }, (_, i) =>
    bench.start(callAttempt('step', { place: { node: `n${i}` } })),
  )
  await Promise.all(started.map(({ done }) => done))
  await new Promise((resolve) => void setImmediate(resolve))
  expect(timers()).toBeLessThanOrEqual(before)
  await until(() => started.every(({ outcomes }) => outcomes.length === 1))
})
