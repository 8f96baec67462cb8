// Owns: the cheap prompt that shows before a run whether an agent answers at all: client, credentials, model, network. One
// short question in an empty directory, nothing of it in any journal.
import { execa } from 'execa'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { randomUUID } from 'node:crypto'
import type { AgentSpec } from '../../core/agent.ts'
import { LIMITS } from '../../core/limits.ts'
import type { AgentAdapter, AgentEvent, AgentLaunch, AgentRequest } from './adapter.ts'
import { LineSplitter } from './stream-lines.ts'

const QUESTION = 'Reply with the single word ok. Use no tools.'
const STDERR_BYTES = 16 * 1024

/** Why the agent does not answer, in a sentence; undefined = it does. */
export async function probeAgent(
  adapter: AgentAdapter,
  spec: AgentSpec,
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const directory = mkdtempSync(join(tmpdir(), 'spanwright-probe-'))
  try {
    const request = requestOf(spec, env, directory)
    const launch = adapter.launch(request)
    if ('problem' in launch) return launch.problem
    return await ask(adapter, request, launch)
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

function requestOf(spec: AgentSpec, env: Readonly<Record<string, string>>, directory: string): AgentRequest {
  const isolated = spec.home === 'isolated'
  const home = isolated ? join(directory, 'home') : (env['HOME'] ?? homedir())
  const cwd = join(directory, 'work')
  const attemptDir = join(directory, 'files')
  for (const made of [cwd, attemptDir, ...(isolated ? [home] : [])]) mkdirSync(made, { recursive: true })
  return {
    spec: { ...spec, prompt: QUESTION, permission: 'read', session: 'new', output_schema: undefined, max_turns: 2 },
    prompt: QUESTION,
    cwd,
    attemptDir,
    launch: 1,
    newSessionId: randomUUID(),
    home,
    isolated,
    env: isolated ? { ...env, HOME: home } : env,
  }
}

async function ask(adapter: AgentAdapter, request: AgentRequest, launch: AgentLaunch): Promise<string | undefined> {
  for (const { path, text } of launch.files ?? []) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text, { mode: 0o600 })
  }
  const reader = adapter.reader(request)
  const env = Object.fromEntries(
    Object.entries({ ...request.env, ...launch.env }).filter(
      ([name, value]) => value !== '' || launch.env[name] !== '',
    ),
  )
  const client = execa(launch.file, launch.args, {
    cwd: request.cwd,
    env,
    extendEnv: false,
    reject: false,
    buffer: { stdout: false, stderr: true },
    maxBuffer: STDERR_BYTES,
    timeout: LIMITS.agentProbeMs,
    forceKillAfterDelay: 1_000,
    stdin: 'pipe',
  })
  client.stdin.on('error', () => {})
  client.stdin.write(launch.stdin ?? '')
  if (!launch.dialogue) client.stdin.end()
  let seen = false
  const take = (events: readonly AgentEvent[]): void => {
    for (const event of events) {
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
  const { verdict } = reader.end(
    { exitCode, signal, ended, stderr: stderr ?? '', rest: lines.rest() },
    Date.now(),
  )
  if (verdict.status === 'ok') return undefined
  if (ended === 'timeout') return `gave no answer within ${LIMITS.agentProbeMs / 1_000} s`
  return verdict.message ?? verdict.errorClass ?? `ended with exit code ${exitCode ?? signal ?? 'unknown'}`
}
