// Writes journals by hand: entries in order, one millisecond apart unless told otherwise, with the ids and sums that a
// real run would record.
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Entry, Event, EventOf } from '../../src/core/events.ts'
import type { InboundContext } from '../../src/core/event-values.ts'
import { classOf, type Failure, type FailureCode, type Result } from '../../src/core/failure.ts'
import { attemptId, spanIdOf, visitId } from '../../src/core/ids.ts'
import { toTimestamp } from '../../src/core/time.ts'

export const RUN_ID = '01KH3DN4STSZ3MVKB58YY6RE57'
export const TRACE_ID = '5f0c2f7d91c84d2ab0b6a1f7f3e40a11'
export const START_MS = Date.parse('2026-11-21T10:00:00Z')

export const failureOf = (code: FailureCode, message = `${code} happened`): Failure => ({
  code,
  class: classOf(code),
  message,
  source: 'command',
  signature: `sig-${code}`,
})

const rollup = (attempts: number, retries = 0) => ({
  attempts,
  retries,
  cost_usd: 0.5 * attempts,
  cost_unpriced: 0,
  tokens: {
    input: 10 * attempts,
    cache_read: 5 * attempts,
    cache_write: 1 * attempts,
    output: 2 * attempts,
    reasoning: 0,
  },
})
const isFailed = (result: Result): boolean => result === 'failure' || result === 'error' || result === 'timeout'
const children = (total: number, failed = 0, retried = 0, skipped = 0) => ({ total, failed, retried, skipped })

/** Where a node stands: `parent` is the span id above it. */
interface At {
  parent?: string
  visit?: number
  kind?: string
}

export class JournalEntries {
  readonly entries: Entry[] = []
  execution = 1
  nowMs: number
  readonly pipeline: string
  constructor(options: { startMs?: number; pipeline?: string } = {}) {
    this.nowMs = options.startMs ?? START_MS
    this.pipeline = options.pipeline ?? 'release'
  }

  add(event: Event, afterMs = 1): this {
    this.nowMs += afterMs
    this.entries.push({ v: 1, seq: this.entries.length + 1, at: toTimestamp(this.nowMs), event })
    return this
  }
  wait(ms: number): this {
    this.nowMs += ms
    return this
  }
  get seq(): number {
    return this.entries.length
  }
  span(what: string): string {
    return spanIdOf(RUN_ID, this.execution, what)
  }
  get runSpan(): string {
    return this.span('run')
  }

  created(inbound?: InboundContext): this {
    return this.add({
      type: 'run.created',
      run_id: RUN_ID,
      labels: {},
      pipeline: { name: this.pipeline, hash: 'h' },
      params: { secret_param: 'do not export' },
      max_parallel: 8,
      execution: 1,
      trace_id: TRACE_ID,
      span_id: this.runSpan,
      ...(inbound ? { inbound } : {}),
      ...(inbound?.relation === 'parent' ? { parent_span_id: inbound.span_id } : {}),
    })
  }
  resumed(inbound?: InboundContext): this {
    const first = spanIdOf(RUN_ID, 1, 'run')
    this.execution += 1
    return this.add({
      type: 'run.resumed',
      execution: this.execution,
      max_parallel: 8,
      links: [first],
      span_id: this.runSpan,
      parent_span_id: first,
      ...(inbound ? { inbound } : {}),
    })
  }
  interrupted(): this {
    return this.add({ type: 'run.interrupted', execution: this.execution, failure: failureOf('worker_lost') })
  }
  finished(result: Result, extra: Partial<EventOf<'run.finished'>> = {}): this {
    return this.add({
      type: 'run.finished',
      execution: this.execution,
      result,
      hook_failures: [],
      totals: { ...rollup(3, 2), branches: 0, nodes: 1 },
      children: children(1),
      duration_ms: 5,
      resumable: false,
      ...extra,
    })
  }

  node(path: string, at: At = {}, extra: Partial<EventOf<'node.started'>> = {}): this {
    const visit = at.visit ?? 1
    return this.add({
      type: 'node.started',
      node: path,
      visit,
      kind: at.kind ?? 'run',
      via: 'needs',
      span_id: this.span(`node ${visitId(path, visit)}`),
      parent_span_id: at.parent ?? this.runSpan,
      ...extra,
    })
  }
  nodeFinished(path: string, result: Result, at: At = {}, extra: Partial<EventOf<'node.finished'>> = {}): this {
    const visit = at.visit ?? 1
    return this.add({
      type: 'node.finished',
      node: path,
      visit,
      kind: at.kind ?? 'run',
      result,
      retry_count: 0,
      rollup: rollup(1),
      span_id: this.span(`node ${visitId(path, visit)}`),
      ...(isFailed(result) ? { failure: failureOf('exit_nonzero') } : {}),
      ...extra,
    })
  }
  skipped(path: string, code: FailureCode = 'upstream_failed'): this {
    return this.add({
      type: 'node.skipped',
      node: path,
      visit: 1,
      kind: 'run',
      failure: failureOf(code),
      span_id: this.span(`node ${path}@1`),
      parent_span_id: this.runSpan,
    })
  }
  attempt(path: string, number: number, extra: Partial<EventOf<'attempt.started'>> = {}, visit = 1): this {
    const id = attemptId(path, visit, number)
    return this.add({
      type: 'attempt.started',
      node: path,
      visit,
      attempt: number,
      attempt_id: id,
      kind: 'run',
      max: 3,
      inputs: {},
      span_id: this.span(`attempt ${id}`),
      parent_span_id: this.span(`node ${visitId(path, visit)}`),
      ...extra,
    })
  }
  attemptFinished(
    path: string,
    number: number,
    result: Result,
    extra: Partial<EventOf<'attempt.finished'>> = {},
  ): this {
    const visit = extra.visit ?? 1
    const id = attemptId(path, visit, number)
    return this.add({
      type: 'attempt.finished',
      node: path,
      visit,
      attempt: number,
      attempt_id: id,
      result,
      duration_ms: 1,
      span_id: this.span(`attempt ${id}`),
      process: { pid: 42, executable: '/usr/bin/make', exit_code: result === 'success' ? 0 : 1 },
      ...(result === 'success' ? {} : { failure: failureOf('exit_nonzero') }),
      ...extra,
    })
  }
  /** An attempt of an agent, with the span that its client gets. */
  agentAttempt(path: string, number: number, extra: Partial<EventOf<'attempt.started'>> = {}): this {
    const agentSpan = this.span(`agent ${path} ${number}`)
    return this.attempt(path, number, { kind: 'agent', agent: 'claude', agent_span_id: agentSpan, ...extra })
  }
  /** `name` tells spans apart; `startedAt` and `endedAt` are ms relative to now (the entry is 1 ms later). */
  modelCalled(
    path: string,
    number: number,
    name: string,
    extra: Partial<EventOf<'model.called'>> & { from?: number; to?: number } = {},
  ): this {
    const { from = -20, to = 0, ...event } = extra
    return this.add({
      type: 'model.called',
      ...this.agentOf(path, number, `chat ${name}`),
      started_at: toTimestamp(this.nowMs + from),
      ended_at: toTimestamp(this.nowMs + to),
      ...event,
    })
  }
  toolStarted(path: string, number: number, id: string, extra: Partial<EventOf<'tool.started'>> = {}): this {
    const at = toTimestamp(this.nowMs)
    return this.add({
      type: 'tool.started',
      ...this.agentOf(path, number, `tool ${id}`),
      call_id: id,
      tool: 'Bash',
      started_at: at,
      ...extra,
    })
  }
  toolFinished(path: string, number: number, id: string, extra: Partial<EventOf<'tool.finished'>> = {}): this {
    const { parent_span_id: _, ...attempt } = this.agentOf(path, number, `tool ${id}`)
    const at = toTimestamp(this.nowMs)
    return this.add({
      type: 'tool.finished',
      ...attempt,
      call_id: id,
      tool: 'Bash',
      ended_at: at,
      ok: true,
      ...extra,
    })
  }
  private agentOf(path: string, number: number, what: string) {
    return {
      node: path,
      visit: 1,
      attempt: number,
      attempt_id: attemptId(path, 1, number),
      span_id: this.span(`${path} ${number} ${what}`),
      parent_span_id: this.span(`agent ${path} ${number}`),
    }
  }
  retry(path: string, number: number, delayMs = 5_000, visit = 1): this {
    return this.add({
      type: 'retry.scheduled',
      node: path,
      visit,
      attempt: number,
      attempt_id: attemptId(path, visit, number),
      next_attempt: number + 1,
      max: 3,
      delay_ms: delayMs,
      due_at: toTimestamp(this.nowMs + delayMs),
      failure: failureOf('exit_nonzero'),
    })
  }
  /** One node with one attempt that does what it is told. */
  step(path: string, result: Result = 'success', at: At = {}): this {
    return this.node(path, at)
      .attempt(path, 1, {}, at.visit)
      .attemptFinished(path, 1, result, { visit: at.visit ?? 1 })
      .nodeFinished(path, result, at)
  }

  branch(fanout: string, key: string, index: number, continues?: string): string {
    const span = this.span(`branch ${fanout}@1:${key}`)
    this.add({
      type: 'branch.started',
      node: fanout,
      visit: 1,
      branch: { key, index },
      span_id: span,
      parent_span_id: this.span(`node ${fanout}@1`),
      ...(continues === undefined ? {} : { continues }),
    })
    return span
  }
  branchFinished(fanout: string, key: string, index: number, result: Result = 'success'): this {
    return this.add({
      type: 'branch.finished',
      node: fanout,
      visit: 1,
      branch: { key, index },
      result,
      children: children(1),
      rollup: rollup(1),
      span_id: this.span(`branch ${fanout}@1:${key}`),
      ...(result === 'success' ? {} : { failure: failureOf('exit_nonzero') }),
    })
  }
  /** A fan-out of `width` branches with one node each; a node after it joins them. */
  fanout(width: number, at: { path?: string; failing?: readonly number[] } = {}): this {
    const path = at.path ?? 'split'
    this.node(path, { kind: 'fanout' })
    this.add({ type: 'fanout.expanded', node: path, visit: 1, offset: 0, total: width, branches: [] })
    const parents = Array.from({ length: width }, (_, index) => this.branch(path, `k${index}`, index))
    parents.forEach((parent, index) => {
      const result = at.failing?.includes(index) ? 'failure' : 'success'
      this.step(`${path}:k${index}/work`, result, { parent })
      this.branchFinished(path, `k${index}`, index, result)
    })
    const failed = at.failing?.length ?? 0
    this.nodeFinished(
      path,
      failed > 0 ? 'failure' : 'success',
      { kind: 'fanout' },
      {
        children: children(width, failed),
        rollup: rollup(width),
        ...(failed > 0 ? { failure: failureOf('branch_failed') } : {}),
      },
    )
    const links = parents.slice(0, 100)
    return this.node('join', {}, { join_links: links, ...(width > 100 ? { join_links_omitted: width - 100 } : {}) })
      .attempt('join', 1)
      .attemptFinished('join', 1, 'success')
      .nodeFinished('join', 'success')
  }

  /** Appends what was added since to a journal file; returns the last seq. */
  writeTo(runDir: string, fromSeq = 0): number {
    const lines = this.entries.slice(fromSeq).map((entry) => `${JSON.stringify(entry)}\n`)
    appendFileSync(join(runDir, 'journal.ndjson'), lines.join(''))
    return this.seq
  }
}
