// Owns: what tests of effects share: a run directory of their own, commands as the core would write them, reports kept.
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach } from 'vitest'
import type { Place, RunAttempt, RunCheck, RunHook } from '../../src/core/commands.ts'
import type { Observation } from '../../src/core/events.ts'
import type { JsonObject } from '../../src/core/json.ts'
import type { Outcome } from '../../src/core/outcome.ts'
import type { CallNode, CommandLine, NodeBase, RunNode } from '../../src/core/pipeline.ts'
import type { Effects, EffectsContext, Running, StepCommand } from '../../src/effects/context.ts'
import { createEffects } from '../../src/effects/effects.ts'
import { createMask, type Mask } from '../../src/journal/masking.ts'

const roots: string[] = []
const benches: Effects[] = []
afterEach(async () => {
  // A test that fails must not leave behind what it started.
  await Promise.all(benches.splice(0).map((effects) => effects.sweep()))
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true })
})

const programs = fileURLToPath(new URL('../fixtures/programs', import.meta.url))
export const program = (name: string): string => join(programs, name)

export interface Workbench {
  readonly effects: Effects
  readonly runId: string
  readonly runDir: string
  readonly cwd: string
  start(command: StepCommand): Started
  /** Starts an attempt of a `run` node and waits for its outcome. */
  run(line: CommandLine | string, options?: AttemptOptions): Promise<Finished>
}
export interface Started {
  readonly running: Running
  readonly done: Promise<Outcome>
  readonly observed: Observation[]
  readonly outcomes: Outcome[]
}
export interface Finished {
  readonly outcome: Outcome
  readonly observed: Observation[]
  /** Text of a file in the attempt's directory. */
  file(name: string): string
}

let runs = 0

export const noMask: Mask = createMask({})
export const maskOf = (secret: string): Mask => createMask({ secrets: [secret] })

export function workbench(overrides: Partial<EffectsContext> = {}): Workbench {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'spanwright-effects-')))
  roots.push(root)
  const runId = `TEST${process.pid}R${++runs}`
  const runDir = join(root, 'runs', runId)
  const cwd = join(root, 'work')
  mkdirSync(runDir, { recursive: true })
  mkdirSync(cwd)
  const mask = overrides.mask ?? noMask
  const effects = createEffects({
    runId,
    runDir,
    cwd,
    env: process.env,
    secrets: new Map(),
    secretNames: [],
    mask,
    functions: new Map(),
    logger: { info: () => {}, warn: () => {}, error: () => {} },
    ...overrides,
  })
  benches.push(effects)
  let attempts = 0
  const start = (command: StepCommand): Started => begin(effects, command)
  return {
    effects,
    runId,
    runDir,
    cwd,
    start,
    async run(line, options = {}) {
      const command = attempt(line, { ...options, attempt: { attempt: ++attempts, ...options.attempt } })
      const { done, observed } = start(command)
      const outcome = await done
      const at = join(runDir, 'attempts', command.place.node, `${command.place.visit}.${command.attempt}`)
      return { outcome, observed, file: (name) => readFileSync(join(at, name), 'utf8') }
    },
  }
}

function begin(effects: Effects, command: StepCommand): Started {
  const observed: Observation[] = []
  const outcomes: Outcome[] = []
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const running = effects.start(command, {
    outcome(outcome) {
      outcomes.push(outcome)
      resolve(outcome)
    },
    observed: (observation) => void observed.push(observation),
    usage: () => {},
    waiting: () => Promise.resolve(true),
    reserve: () => Promise.resolve(undefined),
  })
  return { running, done: promise, observed, outcomes }
}

export interface AttemptOptions {
  readonly node?: Partial<NodeBase>
  readonly place?: Partial<Place>
  readonly attempt?: Partial<RunAttempt>
  readonly inputs?: JsonObject
}

const noHooks = { on_success: [], on_failure: [], on_finish: [], on_retry: [] }

const base = (id: string): NodeBase => ({
  id,
  needs: [],
  routes: [],
  routed: false,
  retry: { max_attempts: 1, initial_ms: 0, factor: 1, max_ms: 0, jitter: 0 },
  timeout_ms: 60_000,
  grace_ms: 2_000,
  checks: [],
  env: {},
  secrets: [],
  hooks: noHooks,
  goal_gate: false,
  allow_failure: false,
  max_visits: 20,
  leave_running: false,
  expressions: [],
})

const place = (more: Partial<Place> = {}): Place => ({
  node: 'build',
  visit: 1,
  env: [],
  secrets: [],
  trace_id: '0af7651916cd43dd8448eb211c80319c',
  span_id: 'b7ad6b7169203331',
  sampled: true,
  ...more,
})

const sh = (script: string): CommandLine => ({ shell: 'sh', script, bindings: [] })

export function attempt(
  line: CommandLine | string,
  { node = {}, place: at = {}, attempt: more = {}, inputs = {} }: AttemptOptions = {},
): RunAttempt {
  const run = typeof line === 'string' ? sh(line) : line
  const where = place(at)
  const number = more.attempt ?? 1
  const run_: RunNode = { ...base('build'), ...node, kind: 'run', run }
  return {
    kind: 'attempt',
    id: `${where.node}@${where.visit}.${number}`,
    place: where,
    node: run_,
    attempt: number,
    max: 100,
    inputs,
    params: {},
    prior: [],
    left: {},
    ...more,
  }
}

export function callAttempt(
  name: string,
  { node = {}, place: at = {}, attempt: more = {}, inputs = {} }: AttemptOptions = {},
): RunAttempt {
  const where = place(at)
  const call: CallNode = { ...base('build'), ...node, kind: 'call', call: { name } }
  return {
    kind: 'attempt',
    id: `${where.node}@${where.visit}.1`,
    place: where,
    node: call,
    attempt: 1,
    max: 1,
    inputs,
    params: {},
    prior: [],
    left: {},
    ...more,
  }
}

export const check = (script: string, more: Partial<RunCheck> = {}): RunCheck => ({
  kind: 'check',
  id: 'build@1.1#check:0',
  place: place(),
  attempt_id: 'build@1.1',
  run: sh(script),
  name: 'tests',
  level: 'L1',
  required: true,
  inputs: {},
  timeout_ms: 60_000,
  grace_ms: 2_000,
  ...more,
})

export const hook = (script: string, more: Partial<RunHook> = {}): RunHook => ({
  kind: 'hook',
  id: 'build@1#on_failure:0',
  place: place(),
  hook: 'on_failure',
  run: sh(script),
  name: 'page',
  inputs: {},
  timeout_ms: 60_000,
  result: 'failure',
  ...more,
})

/** Waits until the condition holds; fails after `ms`. */
export async function until(condition: () => boolean, ms = 5_000): Promise<void> {
  const end = performance.now() + ms
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain for ${condition.toString()}`)
    await new Promise((resolve) => void setTimeout(resolve, 5))
  }
}

export const ofType = <T extends Observation['type']>(
  observed: readonly Observation[],
  type: T,
): Extract<Observation, { type: T }>[] =>
  observed.filter((observation): observation is Extract<Observation, { type: T }> => observation.type === type)
