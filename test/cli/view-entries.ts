// Writes the journal of a run by hand, and folds it into the view that the terminal draws.
import type { Entry, Event } from '../../src/core/events.ts'
import { classOf, type Failure, type FailureCode } from '../../src/core/failure.ts'
import { attemptId } from '../../src/core/ids.ts'
import type { Fanout, Node, Pipeline } from '../../src/core/pipeline.ts'
import { toTimestamp } from '../../src/core/time.ts'
import { foldEntry } from '../../src/cli/live/fold.ts'
import { newRunView, type RunView } from '../../src/cli/live/run-view.ts'

export const RUN_ID = '01KH3DN4STSZ3MVKB58YY6RE57'
export const TRACE_ID = '5f0c2f7d91c84d2ab0b6a1f7f3e40a11'
const START_MS = Date.parse('2026-11-21T09:22:03Z')

export const failureOf = (code: FailureCode, message: string, more: Partial<Failure> = {}): Failure => ({
  code,
  class: classOf(code),
  message,
  source: 'command',
  signature: `sig-${code}`,
  ...more,
})

const base = {
  routes: [],
  routed: false,
  retry: { max_attempts: 1, initial_ms: 0, factor: 1, max_ms: 0, jitter: 0 },
  grace_ms: 5_000,
  checks: [],
  env: {},
  secrets: [],
  hooks: { on_success: [], on_failure: [], on_finish: [], on_retry: [] },
  goal_gate: false,
  allow_failure: false,
  max_visits: 20,
  leave_running: false,
  expressions: [],
}
export const runNode = (id: string, needs: readonly string[] = [], more: Partial<Node> = {}): Node =>
  ({ ...base, id, needs, kind: 'run', run: { argv: ['true'] }, ...more }) as Node
export const fanoutNode = (id: string, needs: readonly string[], fanout: Partial<Fanout>): Node => ({
  ...base,
  id,
  needs,
  kind: 'fanout',
  fanout: {
    over: { count: 2 },
    join: { kind: 'all' },
    on_failure: 'continue',
    workspace: 'shared',
    merge: 'none',
    nodes: [],
    ...fanout,
  },
})
export const gateNode = (id: string, needs: readonly string[]): Node => ({
  ...base,
  id,
  needs,
  kind: 'gate',
  gate: { question: 'Ship it?', choices: ['approve', 'reject'], reject: ['reject'] },
})

export const pipelineOf = (name: string, nodes: readonly Node[], more: Partial<Pipeline> = {}): Pipeline => ({
  name,
  params: {},
  secrets: [],
  env: {},
  breaker: { limit: 3 },
  max_parallel: 4,
  on_failure: 'continue',
  hooks: { on_success: [], on_failure: [], on_finish: [], on_retry: [] },
  nodes,
  ...more,
})

const rollup = {
  attempts: 1,
  retries: 0,
  tokens: { input: 0, cache_read: 0, cache_write: 0, output: 0, reasoning: 0 },
  cost_usd: 0,
  cost_unpriced: 0,
}
const children = { total: 1, failed: 0, retried: 0, skipped: 0 }

/** A run told event by event. `after` moves the clock by seconds. */
export class Told {
  readonly view: RunView
  readonly entries: Entry[] = []
  now = START_MS
  constructor(pipeline: Pipeline, options: { keepAll?: boolean } = {}) {
    this.view = newRunView(pipeline, options)
    this.add({
      type: 'run.created',
      run_id: RUN_ID,
      labels: {},
      pipeline: { name: pipeline.name, hash: 'h' },
      params: {},
      max_parallel: pipeline.max_parallel,
      execution: 1,
      trace_id: TRACE_ID,
      span_id: '01',
    })
  }
  after(seconds: number): this {
    this.now += seconds * 1_000
    return this
  }
  add(event: Event): this {
    const entry = { v: 1, seq: this.entries.length + 1, at: toTimestamp(this.now), event }
    this.entries.push(entry)
    foldEntry(this.view, entry)
    return this
  }
  start(node: string, kind = 'run', visit = 1): this {
    return this.add({ type: 'node.started', node, visit, kind, via: 'needs', span_id: '02' })
  }
  attempt(node: string, attempt = 1, max = 1): this {
    const id = attemptId(node, 1, attempt)
    return this.add({
      type: 'attempt.started',
      node,
      visit: 1,
      attempt,
      attempt_id: id,
      kind: 'run',
      max,
      span_id: '03',
      inputs: {},
    })
  }
  said(node: string, text: string, more: object = {}): this {
    return this.add({
      type: 'attempt.progressed',
      node,
      visit: 1,
      attempt: 1,
      attempt_id: attemptId(node, 1, 1),
      text,
      ...more,
    })
  }
  ended(node: string, options: { failure?: Failure; attempt?: number; visit?: number; usd?: number } = {}): this {
    const { failure, attempt = 1, visit = 1, usd } = options
    const usage =
      usd === undefined
        ? {}
        : {
            usage: { input: 1_000, cache_read: 500, cache_write: 0, output: 200 },
            cost: { usd, source: 'reported' as const },
          }
    return this.add({
      type: 'attempt.finished',
      node,
      visit,
      attempt,
      attempt_id: attemptId(node, visit, attempt),
      result: failure ? 'failure' : 'success',
      ...(failure ? { failure } : {}),
      ...usage,
      duration_ms: 1_000,
      span_id: '03',
    })
  }
  finish(
    node: string,
    options: { failure?: Failure; kind?: string; retries?: number; visit?: number; label?: string } = {},
  ): this {
    const { failure, kind = 'run', retries = 0, visit = 1, label } = options
    return this.add({
      type: 'node.finished',
      node,
      visit,
      kind,
      result: failure ? 'failure' : 'success',
      ...(failure ? { failure } : {}),
      ...(label === undefined ? {} : { label }),
      retry_count: retries,
      rollup,
      span_id: '02',
    })
  }
  /** A command node from start to success. */
  ran(node: string, seconds: number, usd?: number): this {
    return this.start(node)
      .attempt(node)
      .after(seconds)
      .ended(node, usd === undefined ? {} : { usd })
      .finish(node)
  }
  expanded(node: string, keys: readonly string[]): this {
    return this.add({
      type: 'fanout.expanded',
      node,
      visit: 1,
      offset: 0,
      total: keys.length,
      branches: keys.map((key) => ({ key })),
    })
  }
  lane(node: string, key: string, index: number): this {
    return this.add({ type: 'branch.started', node, visit: 1, branch: { key, index }, span_id: '04' })
  }
  laneEnded(node: string, key: string, index: number, failure?: Failure): this {
    return this.add({
      type: 'branch.finished',
      node,
      visit: 1,
      branch: { key, index },
      result: failure ? 'failure' : 'success',
      ...(failure ? { failure } : {}),
      children,
      rollup,
      span_id: '04',
    })
  }
  retrying(node: string, options: { next: number; max: number; delayMs: number; failure: Failure }): this {
    const { next, max, delayMs, failure } = options
    return this.add({
      type: 'retry.scheduled',
      node,
      visit: 1,
      attempt: next - 1,
      attempt_id: attemptId(node, 1, next - 1),
      next_attempt: next,
      max,
      delay_ms: delayMs,
      due_at: toTimestamp(this.now + delayMs),
      failure,
    })
  }
}
