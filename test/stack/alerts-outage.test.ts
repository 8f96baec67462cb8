// Alerts while a part of the stack is away: a run that goes on well is neither stuck nor lost, whoever does not hear of it.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack, type Stack } from '../../scripts/native-stack/stack.ts'
import { eventually, journalOf, pipelineDirectory } from '../support/run-record.ts'
import { prometheusClient } from './support/prometheus-client.ts'
import { runCliOn, startCliOn } from './support/run-cli.ts'
import { startWebhook, type Webhook } from './support/webhook.ts'

let webhook: Webhook
let stack: Stack
let cwd: string
const prometheus = (): ReturnType<typeof prometheusClient> => prometheusClient(stack.urls.prometheus)
const HEARTBEAT_AGE = 'spanwright:heartbeat_age:seconds{job="spanwright"}'

beforeAll(async () => {
  webhook = await startWebhook()
  stack = await startStack({ alertmanagerConfig: webhook.alertmanagerConfig })
  cwd = pipelineDirectory(`name: healthy
nodes:
  - { id: build, run: 'while true; do echo working; sleep 1; done', stall_timeout: 30s }
`)
  startCliOn(stack.urls, ['run', 'p.yaml', '--ui', 'quiet'], { cwd, timeoutMs: 900_000 }).ended.catch(() => {})
  await eventually(() => journalOf(cwd).some(({ event }) => event.type === 'attempt.started'))
  await prometheus().untilValue(HEARTBEAT_AGE, (age) => age < 15)
})
afterAll(async () => {
  await runCliOn(stack.urls, ['cancel', 'latest', '--force'], { cwd })
  await stack.stop()
  webhook.close()
})

it('Prometheus away for longer than a heartbeat may be: nothing is told when it is back', async () => {
  await stack.prometheus.kill('SIGKILL')
  // More than 60 s after the last heartbeat, which may have come just before the end.
  await sleep(65_000)
  await stack.prometheus.start()
  await prometheus().untilValue(HEARTBEAT_AGE, (age) => age < 15, { withinMs: 30_000 })
  const back = await prometheus().untilValue('time()', () => true)
  await prometheus().untilValue('time()', (time) => time > back + 25, { withinMs: 40_000 })
  expect(webhook.told({ pipeline: 'healthy' })).toEqual([])
})

it('the collector away: that is told, and nothing about runs of which it says nothing', async () => {
  await stack.otelcol.kill('SIGKILL')
  await webhook.untilTold({ name: 'SpanwrightCollectorDown' }, { withinMs: 90_000 })
  // Prometheus takes the run for lost by now; it is held back.
  await prometheus().untilAny('ALERTS{alertname="SpanwrightOrchestratorLost",alertstate="firing"}', {
    withinMs: 60_000,
  })
  await sleep(15_000)
  await stack.otelcol.start()
  await webhook.untilTold({ name: 'SpanwrightCollectorDown', status: 'resolved' }, { withinMs: 120_000 })
  expect(await prometheus().instant('ALERTS{cicd_pipeline_name="healthy"}')).toEqual([])
  expect(webhook.told({ pipeline: 'healthy' })).toEqual([])
})
