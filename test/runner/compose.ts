// Owns: putting a run together for tests: pipelines from short definitions, ports over real parts. Also used by the
// processes that tests start, so nothing of the test runner may be imported here.
import { fileURLToPath } from 'node:url'
import type { JsonObject } from '../../src/core/json.ts'
import type { Store } from '../../src/journal/store.ts'
import { pipeline, type PipelineDefinition, type PipelineOptions } from '../../src/pipeline/builder.ts'
import { celExpressions } from '../../src/pipeline/expressions.ts'
import { parseDefinition } from '../../src/pipeline/load.ts'
import { readParams } from '../../src/pipeline/params.ts'
import type { RunnerPorts } from '../../src/runner/run-ports.ts'
import type { StartOptions } from '../../src/runner/start.ts'

/** The takeover of the command line: the real one. */
export const TAKEOVER = [process.execPath, fileURLToPath(new URL('../../src/cli/takeover.ts', import.meta.url))]

export const define = (nodes: PipelineOptions['nodes'], more: Partial<PipelineOptions> = {}): PipelineDefinition =>
  pipeline({ name: 'test', nodes, ...more })

export type Overrides = Partial<RunnerPorts> &
  Partial<Omit<StartOptions, 'pipeline' | 'pipelineHash'>> & { readonly values?: JsonObject }

export function portsFor(store: Store, overrides: Overrides = {}): RunnerPorts {
  return {
    store,
    expressions: celExpressions,
    env: process.env,
    warn: () => {},
    takeover: store.kind === 'ndjson' ? TAKEOVER : undefined,
    sync: 'os',
    ...overrides,
  }
}

export async function optionsFor(definition: PipelineDefinition, overrides: Overrides & { readonly cwd: string }) {
  const parsed = await parseDefinition(definition)
  const options: StartOptions = {
    pipeline: parsed.pipeline,
    pipelineHash: parsed.hash,
    params: readParams(parsed.pipeline.params, { file: overrides.values }),
    version: '0.0.0',
    ...overrides,
  }
  return { options, functions: parsed.functions }
}
