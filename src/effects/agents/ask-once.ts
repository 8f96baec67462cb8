// Owns: one short question to an agent, outside of any attempt: no files of it are kept, nothing of it is an attempt. The
// preflight's probe and summaries of failures ask so. An answer is text; why there is none is a sentence.
import { execa } from 'execa'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { randomUUID } from 'node:crypto'
import type { AgentChoice, AgentSpec } from '../../core/agent.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Cost, Usage } from '../../core/outcome.ts'
import { hasProc } from '../proc.ts'
import { endMarked } from '../processes.ts'
import type { AgentAdapter, AgentEvent, AgentLaunch, AgentRequest } from './adapter.ts'
import { RecordBuilder } from './record.ts'
import type { PriceOf } from './spending.ts'
import { LineSplitter } from './stream-lines.ts'

export interface Asking {
  readonly adapter: AgentAdapter
  /** Who is asked; `home` is the user's unless it says otherwise. */
  readonly spec: AgentChoice & Partial<Pick<AgentSpec, 'home'>>
  readonly question: string
  /** Complete environment of the client. */
  readonly env: Readonly<Record<string, string>>
  readonly price: PriceOf
  /** What its processes carry; everything that does is ended with it. */
  readonly marker?: string | undefined
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export interface Answer {
  readonly text?: string | undefined
  /** Why there is no text. */
  readonly problem?: string | undefined
  readonly model?: string | undefined
  readonly usage?: Usage | undefined
  readonly cost?: Cost | undefined
}

const STDERR_BYTES = 16 * 1024
const KILL_AFTER_MS = 1_000

/** Asks and waits. Never rejects for what the client does. */
export async function askOnce(asking: Asking): Promise<Answer> {
  const directory = mkdtempSync(join(tmpdir(), 'spanwright-ask-'))
  try {
    const request = requestOf(asking, directory)
    const launch = asking.adapter.launch(request)
    if ('problem' in launch) return { problem: launch.problem }
    return await converse(asking, request, launch)
  } finally {
    const { marker } = asking
    if (marker !== undefined && hasProc) await endMarked(marker, { killAfterMs: KILL_AFTER_MS })
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

function requestOf({ spec, question, env }: Asking, directory: string): AgentRequest {
  const isolated = spec.home === 'isolated'
  const home = isolated ? join(directory, 'home') : (env['HOME'] ?? homedir())
  const cwd = join(directory, 'work')
  const attemptDir = join(directory, 'files')
  for (const made of [cwd, attemptDir, home]) mkdirSync(made, { recursive: true })
  return {
    spec: {
      ...spec,
      prompt: question,
      permission: 'read',
      session: 'new',
      home: isolated ? 'isolated' : 'user',
      max_turns: 2,
      fallback: [],
      stalls: {
        start_ms: LIMITS.agentStartMs,
        start: 'end',
        silence: 'end',
        loop_repeats: LIMITS.agentLoopRepeats,
        loop: 'end',
        linger_ms: LIMITS.agentLingerMs,
      },
    },
    prompt: question,
    cwd,
    attemptDir,
    launch: 1,
    newSessionId: randomUUID(),
    home,
    isolated,
    env: isolated ? { ...env, HOME: home } : env,
  }
}

async function converse(asking: Asking, request: AgentRequest, launch: AgentLaunch): Promise<Answer> {
  const { adapter, price, timeoutMs, signal: stop } = asking
  for (const { path, text } of launch.files ?? []) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text, { mode: 0o600 })
  }
  const reader = adapter.reader(request)
  const record = new RecordBuilder(adapter.name, price, request.spec.model)
  const client = execa(launch.file, launch.args, {
    cwd: request.cwd,
    env: environmentOf(request, launch),
    extendEnv: false,
    reject: false,
    buffer: { stdout: false, stderr: true },
    maxBuffer: STDERR_BYTES,
    timeout: timeoutMs,
    forceKillAfterDelay: KILL_AFTER_MS,
    ...(stop && { cancelSignal: stop }),
    stdin: 'pipe',
  })
  client.stdin.on('error', () => {})
  client.stdin.write(launch.stdin ?? '')
  if (!launch.dialogue) client.stdin.end()
  let seen = false
  const take = (events: readonly AgentEvent[]): void => {
    for (const event of events) {
      record.add(event)
      if (event.type === 'reserve') client.stdin.write(`${JSON.stringify({ type: 'grant', id: event.id })}\n`)
      if (event.type !== 'result') continue
      seen = true
      // What it has to do is done; some clients live on.
      setTimeout(() => client.kill(), request.spec.stalls.linger_ms).unref()
    }
  }
  const lines = new LineSplitter((line) => take(reader.stdout(line, Date.now())))
  client.stdout.on('data', (chunk: Buffer) => lines.push(chunk))
  const { exitCode, signal, stderr, timedOut } = await client
  const ended = timedOut && !seen ? 'timeout' : seen && signal !== undefined ? 'result' : undefined
  const exit = { exitCode, signal, ended, stderr: stderr ?? '', rest: lines.rest() } as const
  const { events, verdict } = reader.end(exit, Date.now())
  take(events)
  const spent = record.spending.soFar()
  const facts = { model: record.spending.model, usage: spent?.usage, cost: spent?.cost }
  if (verdict.status === 'ok') return { ...facts, text: record.finalText ?? '' }
  if (ended === 'timeout') return { ...facts, problem: `gave no answer within ${timeoutMs / 1_000} s` }
  const told = verdict.message ?? verdict.errorClass ?? `ended with exit code ${exitCode ?? signal ?? 'unknown'}`
  return { ...facts, problem: told }
}

/** An empty string in the launch takes a variable away. */
const environmentOf = (request: AgentRequest, launch: AgentLaunch): Record<string, string> =>
  Object.fromEntries(
    Object.entries({ ...request.env, ...launch.env }).filter(
      ([name, value]) => value !== '' || launch.env[name] !== '',
    ),
  )
