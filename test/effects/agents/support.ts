// Owns: what tests of agents share: an adapter whose client speaks in the events themselves, and attempts of agent nodes.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AgentSpec } from '../../../src/core/agent.ts'
import type { RunAttempt } from '../../../src/core/commands.ts'
import type { FailureReport } from '../../../src/core/failure.ts'
import type { Cost, Outcome, Usage } from '../../../src/core/outcome.ts'
import type { AgentNode } from '../../../src/core/pipeline.ts'
import type {
  AgentAdapter,
  AgentEvent,
  AgentExit,
  AgentLaunch,
  AgentRequest,
  Verdict,
} from '../../../src/effects/agents/adapter.ts'
import type { AgentRecord } from '../../../src/effects/agents/record.ts'
import type { EffectsContext, Running } from '../../../src/effects/context.ts'
import type { Observation } from '../../../src/core/events.ts'
import { attempt, workbench, type AttemptOptions, type Workbench } from '../support.ts'

export const FAKE = fileURLToPath(new URL('fake-client.mjs', import.meta.url))

/** What the fake client prints: events, or a verdict for the end, or any text. */
export type Line = AgentEvent | { readonly verdict: Partial<Verdict> } | string

export interface FakeOptions {
  readonly reportsCost?: boolean
  readonly versions?: readonly string[]
  /** Its own name, by which it is asked for its version. */
  readonly program?: string
  /** Over what the adapter launches. */
  readonly launch?: (request: AgentRequest) => Partial<AgentLaunch>
  /** Requests are added to it as they come. */
  readonly requests?: AgentRequest[]
  readonly exits?: AgentExit[]
}

/** Its lines are events as JSON. Without a result it is cut off; what a `verdict` line says goes before. */
export function fakeAdapter({
  reportsCost = true,
  versions = [],
  program,
  launch,
  requests,
  exits,
}: FakeOptions = {}): AgentAdapter {
  return {
    name: 'claude',
    versions,
    ...(program !== undefined && { program }),
    parseVersion: (output) => /^fake (\S+)$/m.exec(output)?.[1],
    flags: [],
    credentialProblem: () => undefined,
    reportsCost,
    launch(request) {
      requests?.push(request)
      const { stdin, ...rest } = launch?.(request) ?? {}
      const file = request.spec.program ?? FAKE
      return { file, args: request.spec.args, stdin: stdin ?? request.prompt, env: {}, ...rest }
    },
    reader() {
      let result = false
      let verdict: Partial<Verdict> = {}
      const read = (line: string): readonly AgentEvent[] => {
        if (line === 'throw') throw new Error('a reader with a fault')
        let value: unknown
        try {
          value = JSON.parse(line)
        } catch {
          return []
        }
        if (typeof value !== 'object' || value === null) return []
        if ('verdict' in value) verdict = value.verdict as Partial<Verdict>
        if (!('type' in value)) return []
        result ||= value.type === 'result'
        return [value as AgentEvent]
      }
      return {
        stdout: read,
        stderr: (line) => (line.startsWith('{') ? read(line) : []),
        side: read,
        end(exit) {
          exits?.push(exit)
          const cut: Verdict = exit.ended
            ? { status: 'killed', usageComplete: false }
            : { status: 'error', errorClass: 'truncated_output', usageComplete: false }
          return { events: [], verdict: { ...(result ? { status: 'ok', usageComplete: true } : cut), ...verdict } }
        },
      }
    },
  }
}

export const AGENT_SPEC: AgentSpec = {
  use: 'claude',
  args: [],
  prompt: 'Do it.',
  permission: 'workspace',
  session: 'new',
  home: 'user',
  fallback: [],
  stalls: { start_ms: 10_000, start: 'end', silence: 'end', loop_repeats: 8, loop: 'end', linger_ms: 5_000 },
}

export interface AgentBench {
  readonly bench: Workbench
  /** Starts an attempt whose client prints these lines. */
  start(lines: readonly Line[], options?: AgentOptions): StartedAgent
  run(lines: readonly Line[], options?: AgentOptions): Promise<FinishedAgent>
}
export interface AgentOptions extends AttemptOptions {
  readonly spec?: Partial<AgentSpec>
  /** FAKE_… variables without the prefix. */
  readonly fake?: { readonly [name: string]: string }
  /** What the core says to a wait. Default: it may. */
  readonly mayWait?: boolean
  readonly reserve?: string
}
export interface StartedAgent {
  readonly running: Running
  readonly done: Promise<FinishedAgent>
  readonly observed: Observation[]
  readonly spent: { readonly usage: Usage; readonly cost: Cost | undefined }[]
  readonly waits: { readonly resumesAt: number; readonly failure: FailureReport }[]
  readonly reserved: { readonly usd?: number; readonly tokens?: number }[]
}
export interface FinishedAgent extends Omit<StartedAgent, 'done' | 'running'> {
  readonly outcome: Outcome
  file(name: string): string
  record(): AgentRecord
}

/** The command of an attempt of an agent node, as the core would write it. */
function agentAttempt(options: AgentOptions = {}): RunAttempt {
  const agent = { ...AGENT_SPEC, ...options.spec }
  const command = attempt('true', options)
  const { run: _run, ...base } = command.node as unknown as { run: unknown } & Omit<AgentNode, 'agent'>
  return { ...command, node: { ...base, kind: 'agent', agent }, agent }
}

let transcripts = 0

export function agentBench(adapter: AgentAdapter | undefined, overrides: Partial<EffectsContext> = {}): AgentBench {
  const bench = workbench({ ...(adapter && { adapterOf: () => adapter }), ...overrides })
  const start = (lines: readonly Line[], options: AgentOptions = {}): StartedAgent => {
    const transcript = join(bench.runDir, `transcript-${++transcripts}`)
    writeFileSync(transcript, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
    const fake = { TRANSCRIPT: transcript, ...options.fake }
    const env = Object.fromEntries(Object.entries(fake).map(([name, value]) => [`FAKE_${name}`, value]))
    const place = { ...options.place, env: [...(options.place?.env ?? []), env] }
    return begin(bench, agentAttempt({ ...options, place }), options)
  }
  return { bench, start, run: (lines, options) => start(lines, options).done }
}

function begin(bench: Workbench, command: RunAttempt, { mayWait = true, reserve }: AgentOptions): StartedAgent {
  const seen = {
    observed: [] as Observation[],
    spent: [] as { usage: Usage; cost: Cost | undefined }[],
    waits: [] as { resumesAt: number; failure: FailureReport }[],
    reserved: [] as { usd?: number; tokens?: number }[],
  }
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const running = bench.effects.start(command, {
    outcome: resolve,
    observed: (observation) => void seen.observed.push(observation),
    usage: (usage, cost) => void seen.spent.push({ usage, cost }),
    waiting(resumesAt, failure) {
      seen.waits.push({ resumesAt, failure })
      return Promise.resolve(mayWait)
    },
    reserve(amount) {
      seen.reserved.push(amount)
      return Promise.resolve(reserve)
    },
  })
  const { node, visit } = command.place
  const at = join(bench.runDir, 'attempts', node, `${visit}.${command.attempt}`)
  const file = (name: string): string => readFileSync(join(at, name), 'utf8')
  const record = (): AgentRecord => JSON.parse(file('agent.json')) as AgentRecord
  return { running, ...seen, done: promise.then((outcome) => ({ ...seen, outcome, file, record })) }
}
