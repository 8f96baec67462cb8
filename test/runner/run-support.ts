// Owns: what tests of runs share: stores in temporary directories, starting runs, looking at journals and processes.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Entry, EventOf, EventType } from '../../src/core/events.ts'
import { scanMarked } from '../../src/effects/processes.ts'
import { createMemoryStore } from '../../src/journal/memory-store.ts'
import { createNdjsonStore } from '../../src/journal/ndjson-store.ts'
import type { Store } from '../../src/journal/store.ts'
import type { PipelineDefinition } from '../../src/pipeline/builder.ts'
import { startRun, type StartedRun } from '../../src/runner/start.ts'
import { childEnvironment, temporaryDirectory } from '../support/cli.ts'
import { optionsFor, portsFor, type Overrides } from './compose.ts'

export const program = (name: string): string => fileURLToPath(new URL(`programs/${name}`, import.meta.url))

export const memory = (): Store => createMemoryStore(temporaryDirectory())
export const onDisk = (): Store => createNdjsonStore(path.join(temporaryDirectory(), '.spanwright'))

export async function start(
  definition: PipelineDefinition,
  store: Store,
  overrides: Overrides = {},
): Promise<StartedRun> {
  const { options, functions } = await optionsFor(definition, { cwd: temporaryDirectory(), ...overrides })
  return await startRun(options, portsFor(store, { functions, env: childEnvironment(), ...overrides }))
}

export const entriesOf = (store: Store, runId: string): Entry[] => [...store.read(runId)]

export const eventsOf = <T extends EventType>(store: Store, runId: string, type: T): EventOf<T>[] =>
  entriesOf(store, runId).flatMap(({ event }) => (event.type === type ? [event as EventOf<T>] : []))

/** Living processes of a run: what carries its marker, and whoever names its directory (sentinel, takeover). */
export function processesOf(runId: string): string[] {
  const marked = scanMarked(`${runId}/`).map(({ pid }) => pid)
  const named = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && commandLine(name).includes(runId))
  return [...marked, ...named].map((pid) => `${pid} ${commandLine(String(pid)).replaceAll('\0', ' ')}`)
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
