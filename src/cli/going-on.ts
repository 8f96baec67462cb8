// Owns: what resume and retry need of a run that is there already: its pipeline, the functions of a TypeScript one
// (loaded again, and compared), secret params, the caller's trace context.
import { SpanwrightError } from '../core/error.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { RunIdentity } from '../journal/run-identity.ts'
import type { Store } from '../journal/store.ts'
import type { ResumeOptions } from '../runner/resume.ts'
import type { Invocation } from './command-table.ts'
import type { Drive } from './drive.ts'
import { readInboundContext } from './inbound.ts'
import { readCount } from './key-values.ts'
import { openRun } from './open-store.ts'
import { readParamsFile } from './params-file.ts'

export interface GoingOn {
  readonly store: Store
  readonly runId: string
  readonly driven: Pick<Drive, 'pipeline' | 'functions'>
  readonly options: Omit<ResumeOptions, 'runId'>
}

/** Throws `run.not_found`, `run.changed`, `params.invalid`. */
export async function goingOn(invocation: Invocation): Promise<GoingOn> {
  const { options, output } = invocation
  const { store, runId } = await openRun(invocation)
  const identity = store.readIdentity(runId)
  const pipeline = store.readPipeline(runId)
  const again = await loadAgain(identity, options)
  // Steps run where they ran before, whatever directory this command was called from.
  return {
    store,
    runId,
    driven: { pipeline, functions: again?.functions },
    options: {
      params: await secretParams(pipeline, options),
      maxParallel: readCount('--max-parallel', options['maxParallel']),
      inbound: await readInboundContext(options, output),
      pipelineHash: again?.hash,
    },
  }
}

const MODULE = /\.(?:ts|mts|js|mjs)$/

async function loadAgain(
  identity: RunIdentity,
  options: Invocation['options'],
): Promise<{ hash: string; functions: Drive['functions'] } | undefined> {
  const { file, hash } = identity.pipeline
  if (file === undefined || !MODULE.test(file)) return undefined
  const { parsePipelineFile } = await import('../pipeline/load.ts')
  const parsed = await parsePipelineFile(file, { cwd: identity.cwd })
  if (parsed.hash !== hash && options['acceptChanges'] !== true) {
    throw new SpanwrightError(
      'run.changed',
      `${file} is not what run ${identity.run_id} was started with: undo the change, or give --accept-changes`,
    )
  }
  return { hash: parsed.hash, functions: parsed.functions }
}

/** Only secret params can be given again; the others are on record. */
async function secretParams(pipeline: Pipeline, options: Invocation['options']): Promise<ResumeOptions['params']> {
  const given = Array.isArray(options['param']) ? (options['param'] as readonly string[]) : []
  const file = typeof options['params'] === 'string' ? await readParamsFile(options['params']) : undefined
  if (given.length === 0 && !file) return undefined
  const names = [...given.map((text) => text.split('=')[0]!), ...Object.keys(file ?? {})]
  const open = names.find((name) => pipeline.params[name] && pipeline.params[name].secret !== true)
  if (open !== undefined)
    throw new SpanwrightError(
      'params.invalid',
      `param \`${open}\` is on record and stays as it is: only secret params are given again`,
    )
  const declared = Object.fromEntries(
    Object.entries(pipeline.params)
      .filter(([, param]) => param.secret === true)
      .map(([name, param]) => [name, { ...param, required: false }]),
  )
  const { readParams } = await import('../pipeline/params.ts')
  const values = readParams(declared, { cli: given, file })
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))
}
