// Starts the program of the `api` agent as an attempt does, against the scripted provider, and records what it says.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Provider as WireFormat } from '../../../src/core/agent.ts'
import type { AgentEvent, AgentExit, AgentLaunch, AgentRequest, Verdict } from '../../../src/effects/agents/adapter.ts'
import { api } from '../../../src/effects/agents/api.ts'
import { serve } from '../../../src/effects/agents/api/serve.ts'
import { priceOf } from '../../../src/effects/agents/pricing.ts'
import { RecordBuilder, type AgentRecord } from '../../../src/effects/agents/record.ts'
import { startProvider, type Provider, type Scenario, type Turn } from '../../agents/support/scripted-provider.mjs'
import { temporaryDirectory } from '../../support/cli.ts'
import { agentRequest, type RequestChanges } from './contract.ts'

export const FORMATS: readonly WireFormat[] = ['anthropic', 'openai', 'openai-compatible']
const MODELS = { anthropic: 'claude-sonnet-4-5', openai: 'gpt-5', 'openai-compatible': 'kimi-k2' } as const
export const KEY = 'a-key-nobody-may-see'

export interface Played {
  readonly record: AgentRecord
  readonly verdict: Verdict
  readonly events: readonly AgentEvent[]
  readonly lines: readonly string[]
  readonly provider: Provider
  readonly cwd: string
}

export interface PlayOptions extends Omit<RequestChanges, 'spec'> {
  readonly format?: WireFormat
  readonly spec?: RequestChanges['spec']
  readonly after?: Scenario['after']
  /** Called with every event; may end the program. */
  readonly on?: (event: AgentEvent, stop: () => void) => void
  readonly asProcess?: boolean
  /** What a reservation is answered with; undefined = granted, null = nothing. */
  readonly refuse?: (usd: number | undefined) => string | undefined | null
  readonly env?: Readonly<Record<string, string>>
}

/** A request for the program; it waits little before it tries again. */
export function apiRequest(
  baseUrl: string,
  {
    format = 'anthropic',
    spec,
    env,
    after: _after,
    on: _on,
    refuse: _refuse,
    asProcess: _asProcess,
    ...changes
  }: PlayOptions,
): AgentRequest {
  const home = temporaryDirectory()
  return agentRequest({
    cwd: temporaryDirectory(),
    attemptDir: home,
    home,
    env: {
      PATH: process.env['PATH'] ?? '',
      ANTHROPIC_API_KEY: KEY,
      OPENAI_API_KEY: KEY,
      ALSO: KEY,
      HEADERS: `authorization: Bearer ${KEY}`,
      ...env,
    },
    ...changes,
    spec: {
      use: 'api',
      provider: format,
      model: MODELS[format],
      base_url: format === 'anthropic' ? baseUrl : `${baseUrl}/v1`,
      ...(format === 'openai-compatible' && { api_key_env: 'OPENAI_API_KEY' }),
      ...spec,
      args: ['--retry-delay', '10ms', ...(spec?.args ?? [])],
    },
  })
}

/** One launch against a provider that answers with these turns. */
export async function playApi(turns: readonly Turn[], options: PlayOptions = {}): Promise<Played> {
  const provider = await startProvider({
    scenario: { turns, ...(options.after && { after: options.after }) },
    full: true,
  })
  try {
    return await launchApi(provider, apiRequest(provider.url, options), options)
  } finally {
    await provider.close()
  }
}

/** As its own process; else in this one, which takes a fifth of the time. */
export async function launchApi(provider: Provider, request: AgentRequest, options: PlayOptions = {}): Promise<Played> {
  const launch = api.launch(request)
  if ('problem' in launch) throw new Error(launch.problem)
  const env = Object.fromEntries(Object.entries({ ...request.env, ...launch.env }).filter(([, value]) => value !== ''))
  const running = options.asProcess ? startProcess(launch, request.cwd, env) : startHere(env)
  running.input.write(launch.stdin ?? '')
  const reader = api.reader(request)
  const builder = new RecordBuilder(
    'api',
    (model, tokens) => priceOf(model, tokens, request.prices ?? {}, { provider: request.spec.provider }),
    request.spec.model,
  )
  const events: AgentEvent[] = []
  const lines: string[] = []
  const take = (event: AgentEvent): void => {
    events.push(event)
    builder.add(event)
    if (event.type === 'reserve' && event.id !== '') {
      const reason = options.refuse?.(event.usd)
      const answer = reason === undefined ? { type: 'grant', id: event.id } : { type: 'refuse', id: event.id, reason }
      if (reason !== null) running.input.write(`${JSON.stringify(answer)}\n`)
    }
    options.on?.(event, running.stop)
  }
  let rest = ''
  running.output.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    for (const line of parts) for (const event of reader.stdout(line, Date.now())) take(event)
  })
  const exit = { ...(await running.ended), rest }
  const { verdict } = reader.end(exit, Date.now())
  return { record: builder.finish(exit, verdict), verdict, events, lines, provider, cwd: request.cwd }
}

interface Started {
  readonly input: Writable
  readonly output: Readable
  readonly ended: Promise<Omit<AgentExit, 'rest'>>
  /** What TERM to its process group does. */
  readonly stop: () => void
}

function startProcess(launch: AgentLaunch, cwd: string, env: Readonly<Record<string, string>>): Started {
  const child = spawn(launch.file, launch.args, { cwd, env, detached: true })
  child.stdin.on('error', () => {})
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  const ended = new Promise<Omit<AgentExit, 'rest'>>((resolve) =>
    child.on('close', (code, signal) =>
      resolve({ ...(code !== null && { exitCode: code }), ...(signal !== null && { signal }), stderr }),
    ),
  )
  return { input: child.stdin, output: child.stdout, ended, stop: () => process.kill(-child.pid!, 'SIGTERM') }
}

function startHere(env: Readonly<Record<string, string>>): Started {
  const [input, output] = [new PassThrough(), new PassThrough()]
  const aborting = new AbortController()
  const ended = serve({ input, output, env, signal: aborting.signal }).then(async (exitCode) => {
    output.end()
    await finished(output)
    return { exitCode, stderr: '' }
  })
  return { input, output, ended, stop: () => aborting.abort() }
}

export const inCwd = (played: Played, name: string): string => join(played.cwd, name)
