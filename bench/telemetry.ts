// What tracing costs: journals of function attempts, as a run would write them, with and without a collector that
// listens in another process. Prints CPU per span, time to deliver, memory of the worker, and the wall ratio on/off.
// The floor beside it is the same journal written without telemetry.
import { spawn, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:http'
import { closeSync, fdatasyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { createProjection } from '../src/telemetry/projection.ts'
import { startTelemetry } from '../src/telemetry/telemetry.ts'
import { JournalEntries } from '../test/telemetry/journal-entries.ts'

const ATTEMPTS = 10_000
/** Entries of one turn of the event loop: the end of a step and the start of the next. */
const PER_COMMIT = 4

if (process.argv[2] === 'collector') await collector()
else if (process.argv[2] === 'run') await run(process.argv[3] ?? '')
else await main()

/** Accepts everything and counts spans. */
async function collector(): Promise<void> {
  let spans = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (request.method === 'GET') return void response.end(String(spans))
      spans += Buffer.concat(chunks).toString('latin1').split('"parentSpanId"').length - 1
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  process.stdout.write(`${(server.address() as { port: number }).port}\n`)
}

interface Measured {
  readonly wallMs: number
  readonly mainCpuMs: number
  readonly deliveryMs: number
  readonly cpuMs: number
  readonly rssMb: number
  readonly delivered: number
  readonly pending: number | undefined
}

/** Writes the journal in groups with one fdatasync each; `endpoint` empty = tracing off. */
async function run(endpoint: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'spanwright-bench-'))
  mkdirSync(directory, { recursive: true })
  const lines = journal().map((entry) => `${JSON.stringify(entry)}\n`)
  const file = openSync(join(directory, 'journal.ndjson'), 'a')
  const before = process.cpuUsage()
  const started = performance.now()
  const loop = performance.eventLoopUtilization()
  const telemetry = startTelemetry({
    runDir: directory,
    env: endpoint === '' ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint },
    warn: console.error,
  })
  for (let i = 0; i < lines.length; i += PER_COMMIT) {
    writeSync(file, lines.slice(i, i + PER_COMMIT).join(''))
    fdatasyncSync(file)
    telemetry.committed(Math.min(i + PER_COMMIT, lines.length))
    await turn()
  }
  const wallMs = performance.now() - started
  const { active } = performance.eventLoopUtilization(loop)
  const { delivered, pending } = await telemetry.finish(60_000)
  const cpu = process.cpuUsage(before)
  closeSync(file)
  rmSync(directory, { recursive: true, force: true })
  const measured: Measured = {
    wallMs,
    mainCpuMs: active,
    deliveryMs: performance.now() - started - wallMs,
    cpuMs: (cpu.user + cpu.system) / 1_000,
    rssMb: process.memoryUsage().rss / 2 ** 20,
    delivered,
    pending,
  }
  process.stdout.write(`${JSON.stringify(measured)}\n`)
}

function journal() {
  const entries = new JournalEntries().created()
  for (let i = 0; i < ATTEMPTS; i++) entries.step(`n${i}`)
  return entries.finished('success').entries
}

async function main(): Promise<void> {
  const projected = project()
  const receiver = spawn(process.execPath, [import.meta.filename, 'collector'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const port = await firstLine(receiver)
    const rounds: { off: Measured; on: Measured }[] = []
    for (let i = 0; i < 3; i++) rounds.push({ off: await measure(''), on: await measure(`http://127.0.0.1:${port}`) })
    const median = (pick: (round: { off: Measured; on: Measured }) => number): number =>
      rounds.map(pick).sort((a, b) => a - b)[1]!
    const spans = rounds[0]!.on.delivered
    const lost = 3 * projected.spans - rounds.reduce((sum, { on }) => sum + on.delivered, 0)
    const line = (what: string, value: string): void => console.log(`${what.padEnd(56)} ${value}`)
    line('spans of 10,000 function attempts', `${spans} (${lost} lost)`)
    line('floor: journal alone, wall', `${median(({ off }) => off.wallMs).toFixed(0)} ms`)
    line(
      'with tracing, wall (target 1.10)',
      `${median(({ on }) => on.wallMs).toFixed(0)} ms, ${median(({ on, off }) => on.wallMs / off.wallMs).toFixed(3)} x`,
    )
    line('delivery after the last entry', `${median(({ on }) => on.deliveryMs).toFixed(0)} ms`)
    line(
      'CPU for a span, all threads',
      `${median(({ on, off }) => ((on.cpuMs - off.cpuMs) * 1_000) / spans).toFixed(1)} us`,
    )
    line('CPU for a span, projection alone', `${projected.usPerSpan.toFixed(1)} us`)
    line(
      'resident memory with tracing, over without',
      `${median(({ on }) => on.rssMb).toFixed(0)} MB, +${median(({ on, off }) => on.rssMb - off.rssMb).toFixed(0)} MB`,
    )
  } finally {
    receiver.kill()
  }
}

function project(): { spans: number; usPerSpan: number } {
  const entries = journal()
  const projection = createProjection()
  const started = performance.now()
  let spans = 0
  for (const entry of entries) spans += projection.apply(entry).length
  return { spans, usPerSpan: ((performance.now() - started) * 1_000) / spans }
}

async function measure(endpoint: string): Promise<Measured> {
  const child = spawn(process.execPath, [import.meta.filename, 'run', endpoint], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(await firstLine(child)) as Measured
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = ''
  for await (const chunk of child.stdout!) {
    text += String(chunk)
    if (text.includes('\n')) break
  }
  return text.trim()
}
