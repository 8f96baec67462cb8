// `npm run stack:native` as a program: its one line, its end, and that no server outlives it however it ends.
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { PROJECT_ROOT, temporaryDirectory } from '../support/cli.ts'
import type { StackUrls } from '../../scripts/native-stack/stack.ts'
import { until } from './support/until.ts'

interface Started {
  readonly child: ChildProcess
  readonly urls: StackUrls
  readonly stderr: () => string
  readonly ended: Promise<number | null>
}
const running = new Set<ChildProcess>()
afterEach(() => {
  for (const child of running) child.kill('SIGTERM')
})

const direct = (...args: string[]): string[] => [process.execPath, 'scripts/stack-native.ts', ...args]

async function start([program, ...args]: readonly string[]): Promise<Started> {
  const child = spawn(program!, args, { cwd: PROJECT_ROOT })
  running.add(child)
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => (text[name] += chunk))
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      running.delete(child)
      resolve(code)
    })
  })
  const line = await Promise.race([
    until(
      'the JSON line',
      async () => text.stdout,
      (seen) => seen.endsWith('\n'),
      { withinMs: 3_600_000 },
    ),
    ended.then((code) => {
      throw new Error(`ended with ${code}: ${text.stderr}`)
    }),
  ])
  expect(line.trim().split('\n')).toHaveLength(1)
  return { child, urls: JSON.parse(line) as StackUrls, stderr: () => text.stderr, ended }
}

/** Processes that have the directory in their arguments or environment: every server and every watcher. */
function processesOf(dir: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return ['cmdline', 'environ'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8').includes(dir))
      } catch {
        return false // Ended meanwhile.
      }
    })
}

it('prints one line of addresses that all answer, and SIGTERM leaves no process and no directory', async () => {
  const { child, urls, ended } = await start(direct())
  const answering = {
    otlp_http: `${urls.otlp_http}/v1/traces`,
    otelcol_health: urls.otelcol_health,
    otelcol_metrics: urls.otelcol_metrics,
    jaeger: `${urls.jaeger}/api/services`,
    prometheus: `${urls.prometheus}/-/ready`,
    alertmanager: `${urls.alertmanager}/-/ready`,
  }
  const statuses = Object.entries(answering).map(async ([name, url]) => {
    const otlp = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }
    return [name, (await fetch(url, name === 'otlp_http' ? otlp : {})).status]
  })
  expect(Object.fromEntries(await Promise.all(statuses))).toEqual(
    Object.fromEntries(Object.keys(answering).map((name) => [name, 200])),
  )
  expect(Object.keys(urls)).toEqual([
    ...['otlp_http', 'otlp_grpc', 'jaeger', 'prometheus', 'alertmanager'],
    'otelcol_health',
    'otelcol_metrics',
    'dir',
  ])
  expect(processesOf(urls.dir).length).toBeGreaterThanOrEqual(4)
  child.kill('SIGTERM')
  expect(await ended).toBe(0)
  // Its servers are gone before it is; a watcher needs the moment in which it reads its last line.
  await until(
    'no process',
    async () => processesOf(urls.dir),
    (seen) => seen.length === 0,
  )
  expect(existsSync(urls.dir)).toBe(false)
})

it('says which server died and how its log ends, and ends the others', async () => {
  const { urls, stderr, ended } = await start(direct())
  const [jaeger] = processesOf(urls.dir).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/jaeger\0'),
  )
  process.kill(Number(jaeger), 'SIGKILL')
  expect(await ended).toBe(1)
  expect(stderr()).toMatch(/jaeger ended \(SIGKILL\)\. Its log ends with:\n.*Everything is ready/s)
  await until(
    'no process',
    async () => processesOf(urls.dir),
    (seen) => seen.length === 0,
  )
})

it('leaves no server behind when it is killed itself, and starts again on the data it kept', async () => {
  const dir = path.join(temporaryDirectory(), 'kept')
  const { child, urls } = await start(direct('--dir', dir))
  child.kill('SIGKILL')
  await until(
    'no process',
    async () => processesOf(urls.dir),
    (seen) => seen.length === 0,
  )
  const again = await start(direct('--dir', dir))
  expect(again.urls.dir).toBe(urls.dir)
  again.child.kill('SIGINT')
  expect(await again.ended).toBe(0)
  expect(readdirSync(dir).toSorted()).toEqual(['alertmanager', 'config', 'jaeger', 'logs', 'otelcol', 'prometheus'])
})

it('ends when npm is told to', async () => {
  const { child, urls } = await start(['npm', 'run', '--silent', 'stack:native'])
  child.kill('SIGTERM')
  await until(
    'no process',
    async () => processesOf(urls.dir),
    (seen) => seen.length === 0,
  )
  await until(
    'no directory',
    async () => existsSync(urls.dir),
    (there) => !there,
  )
})

it('says what is wrong with its arguments', async () => {
  await expect(start(direct('--what'))).rejects.toThrow(/Unknown option '--what'/)
})
