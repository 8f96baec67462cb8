// Alerts from real runs to a real webhook, with the configuration and the intervals that ship: a step that hangs, killed
// orchestrators with and without their sentinels, and the silence of everything else.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../../scripts/native-stack/stack.ts'
import type { RunningCli } from '../support/cli.ts'
import {
  eventually,
  finalOf,
  isAlive,
  isSentinel,
  journalOf,
  pipelineDirectory,
  processesOf,
  runIds,
} from '../support/run-record.ts'
import { prometheusClient } from './support/prometheus-client.ts'
import { runCliOn, startCliOn } from './support/run-cli.ts'
import { startWebhook, type Webhook } from './support/webhook.ts'

interface Started {
  readonly cwd: string
  readonly cli: RunningCli
}
let webhook: Webhook
let stack: Stack
let hanging: Started
let quiet: Started
let lost: Started
let waiting: Started
let killed: Started

/** Starts a run and waits until `seen` stands in its journal. */
async function started(pipeline: string, seen: string): Promise<Started> {
  const cwd = pipelineDirectory(pipeline)
  const cli = startCliOn(stack.urls, ['run', 'p.yaml', '--ui', 'quiet'], { cwd, timeoutMs: 600_000 })
  cli.ended.catch(() => {})
  await eventually(() => journalOf(cwd).some(({ event }) => event.type === seen))
  return { cwd, cli }
}
/** The process is killed, with `sentinel` its sentinel before it. Only once its gauges stand in Prometheus. */
async function kill({ cwd, cli }: Started, pipeline: string, { sentinel }: { sentinel: boolean }): Promise<void> {
  await prometheus().untilValue(`sum(last_over_time(spanwright_runs_open{cicd_pipeline_name="${pipeline}"}[5m]))`, 1)
  if (sentinel) {
    const [pid] = processesOf(runIds(cwd)[0]!).filter(isSentinel)
    // Stopped first, so that it has no time to see that its sentinel died.
    cli.kill('SIGSTOP')
    process.kill(pid!, 'SIGKILL')
    await eventually(() => !isAlive(pid!))
  }
  cli.kill('SIGKILL')
}
const prometheus = (): ReturnType<typeof prometheusClient> => prometheusClient(stack.urls.prometheus)

const STALL_MS = 10_000
/** It does not react to TERM, so its stall timeout cannot end it within the grace. */
const HANGING = `name: release
nodes:
  - id: build
    run: trap '' TERM; echo working; sleep 600
    stall_timeout: ${STALL_MS / 1_000}s
    grace: 10m
`
const BUSY = (name: string): string => `name: ${name}
nodes:
  - { id: build, run: 'while true; do echo working; sleep 1; done', stall_timeout: 30s }
`

const SILENT_MS = 15_000
/** The one change of what ships: a quarter of an hour is too long for a test. */
function lowerSilence(): void {
  const file = path.join(stack.urls.dir, 'config/rules/thresholds.yml')
  const text = readFileSync(file, 'utf8')
  expect(text).toContain('vector(900)')
  writeFileSync(file, text.replace('vector(900)', `vector(${SILENT_MS / 1_000})`))
  process.kill(stack.prometheus.pid()!, 'SIGHUP')
}

beforeAll(async () => {
  webhook = await startWebhook()
  stack = await startStack({ alertmanagerConfig: webhook.alertmanagerConfig })
  lowerSilence()
  hanging = await started(HANGING, 'attempt.started')
  quiet = await started('name: quiet\nnodes: [{ id: test, run: sleep 600 }]\n', 'attempt.started')
  lost = await started(BUSY('lost'), 'attempt.started')
  killed = await started(BUSY('killed'), 'attempt.started')
  waiting = await started('name: waiting\nnodes: [{ id: ship, gate: { question: Ship it? } }]\n', 'gate.opened')
  await Promise.all([
    kill(lost, 'lost', { sentinel: true }),
    kill(waiting, 'waiting', { sentinel: true }),
    kill(killed, 'killed', { sentinel: false }),
  ])
})
afterAll(async () => {
  // Whatever failed above: no step is left behind.
  for (const { cwd } of [hanging, quiet]) await runCliOn(stack.urls, ['cancel', 'latest', '--force'], { cwd })
  for (const { cwd } of [lost, waiting]) await runCliOn(stack.urls, ['recover'], { cwd })
  await stack.stop()
  webhook.close()
})

describe('a step that hangs', () => {
  it('is told within its stall timeout and 30 s, by pipeline and node, with a page that opens', async () => {
    const told = await webhook.untilTold({ name: 'SpanwrightAttemptStuck', pipeline: 'release' }, { withinMs: 60_000 })
    expect(told).toMatchObject({ status: 'firing', severity: 'page', node: 'build' })
    expect(told.annotations).toMatchObject({
      summary: expect.stringMatching(/^release: an attempt of build has made no progress for \d+/),
      command: 'spanwright status',
      runbook_url: `${stack.urls.prometheus}/user/attempt-stuck.html`,
    })
    const detected = journalOf(hanging.cwd).find(({ event }) => event.type === 'stall.detected')
    expect(told.atMs - Date.parse(detected!.at)).toBeLessThan(30_000)
    const page = await fetch(told.annotations['runbook_url']!)
    expect(page.status).toBe(200)
    expect(await page.text()).toContain('<h1>SpanwrightAttemptStuck</h1>')
  })
  it('is told to be over after the cancel', async () => {
    await runCliOn(stack.urls, ['cancel', 'latest', '--force'], { cwd: hanging.cwd })
    await webhook.untilTold({ name: 'SpanwrightAttemptStuck', pipeline: 'release', status: 'resolved' })
    await hanging.cli.ended
    expect(finalOf(hanging.cwd)).toBeDefined()
  })
})

describe('a step that hangs and has no stall timeout', () => {
  it('is told within the threshold of all such steps and 30 s, and that it is over after the cancel', async () => {
    const told = await webhook.untilTold({ name: 'SpanwrightAttemptStuck', pipeline: 'quiet' }, { withinMs: 60_000 })
    expect(told).toMatchObject({ status: 'firing', severity: 'warning', node: 'test' })
    const start = journalOf(quiet.cwd).find(({ event }) => event.type === 'attempt.started')
    expect(told.atMs - Date.parse(start!.at)).toBeLessThan(SILENT_MS + 30_000)
    await runCliOn(stack.urls, ['cancel', 'latest'], { cwd: quiet.cwd })
    await webhook.untilTold({ name: 'SpanwrightAttemptStuck', pipeline: 'quiet', status: 'resolved' })
  })
})

describe('an orchestrator killed together with its sentinel', () => {
  it('is told with its open attempts, and that it is over after recover', async () => {
    const told = await webhook.untilTold(
      { name: 'SpanwrightOrchestratorLost', pipeline: 'lost' },
      { withinMs: 100_000 },
    )
    expect(told).toMatchObject({ status: 'firing', severity: 'page', node: 'build' })
    expect(told.annotations['summary']).toBe(
      'lost: the process that runs build has been silent for more than a minute with 1 open attempt.',
    )
    await runCliOn(stack.urls, ['recover'], { cwd: lost.cwd })
    await webhook.untilTold({ name: 'SpanwrightOrchestratorLost', pipeline: 'lost', status: 'resolved' })
  })
  it('is told less loudly when it only waited', async () => {
    const told = await webhook.untilTold(
      { name: 'SpanwrightHeartbeatLost', pipeline: 'waiting' },
      { withinMs: 100_000 },
    )
    expect(told).toMatchObject({ status: 'firing', severity: 'warning' })
    await runCliOn(stack.urls, ['recover'], { cwd: waiting.cwd })
    await webhook.untilTold({ name: 'SpanwrightHeartbeatLost', pipeline: 'waiting', status: 'resolved' })
  })
})

describe('nothing is told', () => {
  it('of a killed orchestrator whose sentinel saw to it; the end is seen as a lost worker', async () => {
    await eventually(() => finalOf(killed.cwd))
    expect(finalOf(killed.cwd)).toMatchObject({ result: 'error', failure: { code: 'worker_lost' } })
    const ended = 'cicd_pipeline_run_duration_seconds_count{cicd_pipeline_name="killed",error_type="worker_lost"}'
    await prometheus().untilValue(`sum(sum_over_time(${ended}[10m]))`, 1)
    expect(webhook.told({ pipeline: 'killed' })).toEqual([])
    expect(await prometheus().instant('ALERTS{cicd_pipeline_name="killed"}')).toEqual([])
  })
  it('of a clean end, and of a stall that the runner ends itself', async () => {
    const clean = pipelineDirectory('name: clean\nnodes: [{ id: build, run: sleep 2 }]\n')
    const stalled = pipelineDirectory('name: stalled\nnodes: [{ id: build, run: sleep 60, stall_timeout: 12s }]\n')
    await Promise.all([clean, stalled].map((cwd) => runCliOn(stack.urls, ['run', 'p.yaml', '--ui', 'quiet'], { cwd })))
    expect(finalOf(stalled)?.failure?.code).toBe('stalled')
    for (const pipeline of ['clean', 'stalled'])
      await prometheus().untilValue(
        `sum(last_over_time(spanwright_runs_open{cicd_pipeline_name="${pipeline}"}[5m]))`,
        0,
      )
    // By now the push that showed it idle would have been told.
    const now = await prometheus().untilValue('time()', () => true)
    await prometheus().untilValue('time()', (time) => time > now + 20, { withinMs: 30_000 })
    expect(webhook.told({ pipeline: 'clean' })).toEqual([])
    expect(webhook.told({ pipeline: 'stalled' })).toEqual([])
  })
  it('of anything else, the stack included', () => {
    expect(new Set(webhook.told().map(({ name, pipeline }) => `${name} ${pipeline}`))).toEqual(
      new Set([
        'SpanwrightAttemptStuck release',
        'SpanwrightAttemptStuck quiet',
        'SpanwrightOrchestratorLost lost',
        'SpanwrightHeartbeatLost waiting',
      ]),
    )
  })
})
