// Owns: what tests of runs share: pipelines from short definitions, ports over real stores, and looking at journals.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Entry, EventOf, EventType } from '../../src/core/events.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { isAlive } from '../../src/effects/proc.ts'
import { scanMarked } from '../../src/effects/processes.ts'
import { MemoryStore } from '../../src/journal/memory-store.ts'
import { NdjsonStore } from '../../src/journal/ndjson-store.ts'
import type { Store } from '../../src/journal/store.ts'
import { pipeline, type PipelineDefinition, type PipelineOptions } from '../../src/pipeline/builder.ts'
import { celExpressions } from '../../src/pipeline/expressions.ts'
import { parseDefinition } from '../../src/pipeline/load.ts'
import { readParams } from '../../src/pipeline/params.ts'
import type { RunnerPorts } from '../../src/runner/run-ports.ts'
import { startRun, type StartedRun, type StartOptions } from '../../src/runner/start.ts'
import { childEnvironment, temporaryDirectory } from '../support/cli.ts'

export const program = (name: string): string => fileURLToPath(new URL(`programs/${name}`, import.meta.url))

/** The takeover of the command line: the real one. */
export const TAKEOVER = [process.execPath, fileURLToPath(new URL('../../src/cli/takeover.ts', import.meta.url))]

export const define = (nodes: PipelineOptions['nodes'], more: Partial<PipelineOptions> = {}): PipelineDefinition =>
  pipeline({ name: 'test', nodes, ...more })

export type Overrides = Partial<RunnerPorts> & Partial<Omit<StartOptions, 'pipeline' | 'pipelineHash'>> & { readonly values?: JsonObject }

export const memory = (): Store => new MemoryStore({ directory: temporaryDirectory() })
export const onDisk = (): Store => new NdjsonStore({ directory: path.join(temporaryDirectory(), '.spanwright') })

export function portsFor(store: Store, overrides: Overrides = {}): RunnerPorts {
  return {
    store, expressions: celExpressions, env: childEnvironment(), warn: () => {},
    takeover: store.kind === 'ndjson' ? TAKEOVER : undefined,
    sync: 'os', ...overrides,
  }
}

export async function optionsFor(definition: PipelineDefinition, overrides: Overrides = {}) {
  const parsed = await parseDefinition(definition)
  const options: StartOptions = {
    pipeline: parsed.pipeline, pipelineHash: parsed.hash, params: readParams(parsed.pipeline.params, { file: overrides.values }),
    cwd: temporaryDirectory(), version: '0.0.0', ...overrides,
  }
  return { options, functions: parsed.functions }
}

export async function start(definition: PipelineDefinition, store: Store, overrides: Overrides = {}): Promise<StartedRun> {
  const { options, functions } = await optionsFor(definition, overrides)
  return await startRun(options, portsFor(store, { functions, ...overrides }))
}

export const entriesOf = (store: Store, runId: string): Entry[] => [...store.read(runId)]

export const eventsOf = <T extends EventType>(store: Store, runId: string, type: T): EventOf<T>[] =>
  entriesOf(store, runId).flatMap(({ event }) => (event.type === type ? [event as EventOf<T>] : []))

/** Living processes of a run, its sentinel included. */
export function processesOf(store: Store, runId: string): number[] {
  const sentinel = sentinelPid(store, runId)
  return [...scanMarked(`${runId}/`).map(({ pid }) => pid), ...(sentinel !== undefined && isAlive(sentinel) ? [sentinel] : [])]
}

function sentinelPid(store: Store, runId: string): number | undefined {
  const directory = store.paths(runId).directory
  const found = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => commandOf(pid).includes(directory))
  return found
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
