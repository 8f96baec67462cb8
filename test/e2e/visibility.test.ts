// Owns: what must be seen of retries, hooks and causes: the same in journal, final.json, the reading commands and the
// trace, through the built program with a real collector.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../support/cli.ts'
import { startSink, type Sink, type SinkSpan } from '../support/otlp-sink.ts'
import {
  eventsOf,
  finalOf,
  holds,
  journalOf,
  originOf,
  pipelineDirectory,
  type FinalFile,
  type Reason,
} from '../support/run-record.ts'

let sink: Sink
beforeAll(async () => {
  sink = await startSink()
})
afterAll(() => sink.close())

const env = (): Record<string, string> => ({ OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, LANG: 'C.UTF-8' })
const spansOfRun = (cwd: string): SinkSpan[] =>
  sink.spans.filter(
    ({ traceId, attrs }) => traceId === finalOf(cwd)?.trace_id && attrs['spanwright.marker'] === undefined,
  )
const json = async <T>(cwd: string, ...args: string[]): Promise<T> =>
  JSON.parse((await runCli([...args, '--json'], { cwd })).stdout) as T

describe('a node that fails twice and then succeeds, and a hook that fails', () => {
  const cwd = pipelineDirectory(`
name: seen
hooks: { on_success: ["echo page is down >&2; exit 9"] }
nodes:
  - id: flaky
    run: 'echo "boom $SPANWRIGHT_ATTEMPT" >&2; [ "$SPANWRIGHT_ATTEMPT" -eq 3 ]'
    retry: { max_attempts: 3, initial: 20ms, factor: 2, jitter: 0 }
    hooks: { on_success: ["exit 8"] }
`)
  let stderr = ''
  beforeAll(async () => {
    const ended = await runCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: env() })
    expect(ended.exitCode).toBe(1)
    stderr = ended.stderr
  })

  test('journal and events tell each attempt and each retry with reason and delay', async () => {
    const retries = eventsOf(cwd, 'retry.scheduled')
    expect(retries).toMatchObject([
      { delay_ms: 20, failure: { code: 'exit_nonzero', message: expect.stringContaining('boom 1') as unknown } },
      { delay_ms: 40, failure: { code: 'exit_nonzero', message: expect.stringContaining('boom 2') as unknown } },
    ])
    expect(eventsOf(cwd, 'attempt.finished').map(({ result }) => result)).toEqual(['failure', 'failure', 'success'])
    const shown = (await runCli(['events', 'latest', '--json'], { cwd })).stdout.trimEnd().split('\n')
    expect(shown.map((line) => JSON.parse(line) as unknown)).toEqual(journalOf(cwd))
    expect(stderr.match(/↻ flaky@1\.\d +attempt \d of 3 in (20|40)ms: exit_nonzero: .*boom/g)).toHaveLength(2)
  })

  test('show --json and final.json agree: one successful node with two retries, a run that failed by its hooks', async () => {
    const final = finalOf(cwd)!
    expect(final.nodes).toMatchObject([{ path: 'flaky', result: 'success', attempts: 3, retries: 2 }])
    expect(final.nodes[0]?.failure).toBeUndefined()
    expect(final).toMatchObject({ result: 'failure', failure: { code: 'hook_failed' }, totals: { retries: 2 } })
    expect(final.hook_failures.map(({ failure }) => [failure.code, originOf(failure).code])).toEqual([
      ['hook_failed', 'exit_nonzero'],
      ['hook_failed', 'exit_nonzero'],
    ])
    const shown = await json<FinalFile>(cwd, 'show', 'latest')
    expect(shown.nodes).toMatchObject([{ path: 'flaky', result: 'success', attempts: 3, retries: 2, failure: null }])
    for (const field of ['result', 'failure', 'hook_failures', 'totals', 'trace_id', 'started_at', 'finished_at'])
      expect([field, shown[field]]).toEqual([field, final[field]])
    expect(stderr).toContain('page is down')
    // No node failed: a retry would find nothing to do.
    expect(stderr).toMatch(/run again +spanwright run p\.yaml\n/)
  })

  test('trace: ERROR, ERROR, UNSET, linked; the node UNSET with its count; the hooks ERROR', () => {
    const spans = spansOfRun(cwd)
    const attempts = spans.filter(({ name }) => name === 'flaky attempt').toSorted((a, b) => a.startUs - b.startUs)
    expect(attempts.map(({ status }) => status.code ?? 0)).toEqual([2, 2, 0])
    expect(attempts.map(({ links }) => links.map(({ spanId }) => spanId))).toEqual([
      [],
      [attempts[0]!.spanId],
      [attempts[1]!.spanId],
    ])
    expect(attempts.map(({ attrs }) => attrs['error.type'])).toEqual(['exit_nonzero', 'exit_nonzero', undefined])
    const node = spans.find(({ name }) => name === 'flaky')!
    expect(node.status.code ?? 0).toBe(0)
    expect(node.attrs['spanwright.retry.count']).toBe(2)
    const scheduled = node.events.filter(({ name }) => name === 'spanwright.retry.scheduled')
    expect(scheduled.map(({ attrs }) => [attrs['spanwright.retry.delay_ms'], attrs['error.type']])).toEqual([
      [20, 'exit_nonzero'],
      [40, 'exit_nonzero'],
    ])
    const run = spans.find(({ name }) => name === 'RUN seen')!
    expect(run).toMatchObject({ status: { code: 2 }, attrs: { 'error.type': 'hook_failed' } })
    const hooks = spans.filter(({ name }) => name === 'hook on_success')
    expect(hooks.map(({ parentSpanId, status }) => [parentSpanId, status.code])).toEqual([
      [node.spanId, 2],
      [run.spanId, 2],
    ])
    expect([...run.events, ...node.events].filter(({ name }) => name === 'spanwright.hook.failed')).toHaveLength(2)
  })

  test('every event of an attempt lies between its start and its end', () => {
    const ended = new Set<string>()
    const afterEnd = new Set(['retry.scheduled', 'processes.ended', 'warning.raised', 'hook.started', 'hook.finished'])
    for (const { event } of journalOf(cwd)) {
      const { attempt_id: id, type } = event
      if (id === undefined) continue
      expect([id, type, ended.has(id) && !afterEnd.has(type)]).toEqual([id, type, false])
      if (type === 'attempt.finished' || type === 'attempt.lost') ended.add(id)
    }
    for (const span of spansOfRun(cwd))
      for (const { name, timeUs } of span.events)
        expect([name, timeUs >= span.startUs && timeUs <= span.endUs]).toEqual([name, true])
  })
})

describe('a cause is told word for word at every level', () => {
  const cwd = pipelineDirectory(`
name: causes
nodes:
  - id: lanes
    fanout:
      each: [api, web]
      as: lane
      key: \${{ lane }}
      nodes:
        - id: inner
          fanout:
            count: 2
            nodes:
              - id: build
                run: 'true'
                checks:
                  - { name: proof, run: 'if [ "\${{ lane }}" = web ]; then echo "No module left-pad" >&2; exit 7; fi' }
  - { id: after, run: 'true' }
`)
  let stderr = ''
  beforeAll(async () => {
    const ended = await runCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: env() })
    expect(ended.exitCode).toBe(1)
    stderr = ended.stderr
  })

  test('journal and final.json: check, attempt, node, branch, fan-out, run', () => {
    const checked = eventsOf(cwd, 'check.finished').find(({ failure }) => failure !== undefined)!
    const cause = originOf(checked.failure!)
    expect(cause).toMatchObject({ code: 'exit_nonzero', details: { exit_code: 7 } })
    expect(cause.message).toContain('No module left-pad')
    const failures: [string, Reason | undefined][] = [
      ...['attempt.finished', 'node.finished', 'branch.finished', 'run.finished'].flatMap((type) =>
        eventsOf(cwd, type).flatMap(({ failure }): [string, Reason][] => (failure ? [[type, failure]] : [])),
      ),
      ['final.json', finalOf(cwd)!.failure],
    ]
    expect(new Set(failures.map(([type]) => type)).size).toBe(5)
    for (const [type, failure] of failures) expect([type, holds(failure, cause.message)]).toEqual([type, true])
    const skipped = finalOf(cwd)!.nodes.find(({ path }) => path === 'after')!
    expect(skipped).toMatchObject({ result: 'skip' })
  })

  test('show --json, show, runs, attempt show, closing summary', async () => {
    const cause = originOf(finalOf(cwd)!.failure!)
    const shown = await json<FinalFile>(cwd, 'show', 'latest')
    expect(originOf(shown.failure!)).toEqual(cause)
    const [run] = await json<{ failure: Reason }[]>(cwd, 'runs')
    expect(holds(run?.failure, cause.message)).toBe(true)
    expect(stderr).toMatch(/exit_nonzero +lanes:web\/inner:[01]\/build@1\.1 .*original cause/)
    expect(stderr.replaceAll(/\s+/g, ' ')).toMatch(
      / Branch [01] failed: build failed: Check proof failed: [^:]+: No module left-pad /,
    )
    expect((await runCli(['show', 'latest'], { cwd })).stdout).toContain('No module left-pad')
    const id = eventsOf(cwd, 'attempt.finished').find(({ failure }) => failure)!.attempt_id!
    expect(id).toMatch(/^lanes:web\/inner:[01]\/build@1\.1$/)
    expect((await runCli(['attempt', 'show', 'latest', id], { cwd })).stdout).toContain('No module left-pad')
  })

  test('span attributes: from the check to the run', () => {
    const cause = originOf(finalOf(cwd)!.failure!)
    const failed = spansOfRun(cwd).filter(({ status }) => status.code === 2)
    const names = new Set(failed.map(({ name }) => name))
    expect([...names].toSorted()).toEqual(
      [
        'RUN causes',
        'branch inner',
        'branch lanes',
        'build',
        'build attempt',
        'check proof',
        'inner',
        'lanes',
      ].toSorted(),
    )
    for (const { name, attrs, status } of failed) {
      expect([name, attrs['spanwright.failure.cause.message']]).toEqual([name, cause.message])
      expect([name, attrs['spanwright.failure.cause.code']]).toEqual([name, cause.code])
      expect([name, status.message?.includes(cause.message)]).toEqual([name, true])
    }
  })
})
