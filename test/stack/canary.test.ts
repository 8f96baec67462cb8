// What a run knows and keeps to itself, on the real servers: keys, file contents, parameters, environment, command lines
// and output are searched for in the collector's queue, in Jaeger and in Prometheus; why steps failed is found there.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startStack, type Stack } from '../../scripts/native-stack/stack.ts'
import { latestRun, pipelineDirectory } from '../support/run-record.ts'
import { jaegerClient } from './support/jaeger-client.ts'
import { prometheusClient } from './support/prometheus-client.ts'
import { runCliOn } from './support/run-cli.ts'

const CANARY = {
  declaredSecret: 'canary-secret-8f31',
  keyInTheEnvironment: 'canary-key-77d0',
  file: 'canary-file-4b9a',
  param: 'canary-param-1e5c',
  env: 'canary-env-93aa',
  commandLine: 'canary-command-60f2',
  output: 'canary-stdout-b712',
  reportedOutput: 'canary-outputs-5d08',
  notes: 'canary-notes-2ac4',
} as const

/** The one line with which a step says why it fails is its reason, and goes everywhere the reason goes. */
const REASONS = ['registry.example refuses the key ***', 'the report is not complete', 'nobody to page']

const PIPELINE = `
name: canaries
params: { prompt: { type: string, default: "${CANARY.param}" } }
secrets: [DEPLOY_TOKEN]
on_failure: continue
nodes:
  - id: read
    env: { NOTE: "${CANARY.env}", ASKED: "\${{ params.prompt }}" }
    run: |
      : ${CANARY.commandLine}; cat note.txt; echo "$ASKED $NOTE ${CANARY.output}"
      echo '{"outputs":{"text":"${CANARY.reportedOutput}"},"notes":"${CANARY.notes}"}' > "$SPANWRIGHT_OUTCOME"
    checks:
      - { name: complete, run: 'cat note.txt; echo "the report is not complete" >&2; exit 4' }
  - id: deploy
    needs: []
    secrets: [DEPLOY_TOKEN]
    retry: { max_attempts: 2, initial: 10ms, jitter: 0 }
    run: |
      cat note.txt; echo "token $DEPLOY_TOKEN, key $PAGER_API_KEY, ${CANARY.output}"; cat note.txt >&2
      echo "registry.example refuses the key $DEPLOY_TOKEN" >&2; exit 3
    hooks: { on_failure: ['cat note.txt; echo "nobody to page" >&2; exit 1'] }
  - id: lanes
    needs: []
    fanout: { each: [a, b], nodes: [ { id: use, run: 'cat ../note.txt note.txt | head -1; echo "\${{ params.prompt }}"' } ] }
`

let stack: Stack
let cwd: string
beforeAll(async () => {
  stack = await startStack()
  cwd = pipelineDirectory(PIPELINE)
  writeFileSync(path.join(cwd, 'note.txt'), `${CANARY.file}\n`)
})
afterAll(() => stack?.stop())

const found = (text: string | Buffer): string[] =>
  Object.entries(CANARY).flatMap(([what, canary]) => (text.includes(canary) ? [what] : []))

/** All bytes below a folder. */
function bytesBelow(folder: string): Buffer {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return Buffer.concat(files.map((file) => readFileSync(path.join(file.parentPath, file.name))))
}

describe('a run that handles keys, files and prompts', () => {
  let traceId: string
  beforeAll(async () => {
    // With Jaeger and Prometheus away everything the run sends stays in the collector's files.
    await Promise.all([stack.jaeger.kill(), stack.prometheus.kill()])
    const ended = await runCliOn(stack.urls, ['run', 'p.yaml', '--ui', 'quiet'], {
      cwd,
      env: { DEPLOY_TOKEN: CANARY.declaredSecret, PAGER_API_KEY: CANARY.keyInTheEnvironment },
    })
    expect({ code: ended.exitCode, stderr: ended.stderr }).toMatchObject({ code: 1 })
    traceId = (JSON.parse(readFileSync(path.join(latestRun(cwd), 'run.json'), 'utf8')) as { trace_id: string }).trace_id
  })

  test('had all of them', () => {
    const attempts = bytesBelow(path.join(latestRun(cwd), 'attempts'))
    const masked = ['declaredSecret', 'keyInTheEnvironment']
    expect(attempts.includes('***')).toBe(true)
    const kept = Object.keys(CANARY).filter((what) => !masked.includes(what))
    expect([...new Set([...found(attempts), ...found(bytesBelow(latestRun(cwd)))])].toSorted()).toEqual(kept.toSorted())
  })

  test('leaves none of them in the files of the collector', () => {
    const queue = bytesBelow(path.join(stack.urls.dir, 'otelcol'))
    for (const reason of REASONS) expect(queue.includes(reason)).toBe(true)
    expect(found(queue)).toEqual([])
  })

  test('leaves none of them in Jaeger', async () => {
    await stack.jaeger.start()
    const jaeger = jaegerClient(stack.urls.jaeger)
    const trace = await jaeger.untilTrace(traceId, ({ spans }) => spans.some(({ name }) => name === 'RUN canaries'), {
      withinMs: 60_000,
    })
    const answers = JSON.stringify([
      trace,
      await jaeger.services(),
      await jaeger.operations('spanwright'),
      await (await fetch(`${stack.urls.jaeger}/api/traces/${traceId}`)).json(),
    ])
    for (const reason of REASONS) expect(answers).toContain(reason)
    expect(found(answers)).toEqual([])
  })

  test('leaves none of them in Prometheus', async () => {
    await stack.prometheus.start()
    const prometheus = prometheusClient(stack.urls.prometheus)
    await prometheus.untilValue('sum(sum_over_time(spanwright_attempts_total[1h]))', 5, { withinMs: 60_000 })
    const answers = JSON.stringify([
      await prometheus.series('{__name__=~".+"}'),
      await (await fetch(`${stack.urls.prometheus}/api/v1/metadata`)).json(),
    ])
    expect(answers).toContain('exit_nonzero')
    expect(found(answers)).toEqual([])
  })

  test('leaves none of them anywhere in the data and logs of the servers', () => {
    expect(found(bytesBelow(stack.urls.dir))).toEqual([])
  })
})
