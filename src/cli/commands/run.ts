// Owns: `run`: from a pipeline file and params to a run, in this process or in the background.
import path from 'node:path'
import { SpanwrightError } from '../../core/error.ts'
import type { JsonObject } from '../../core/json.ts'
import type { ParsedPipeline } from '../../pipeline/load.ts'
import type { CommandFunction, Invocation } from '../command-table.ts'
import { readCount, readLabels } from '../key-values.ts'
import { readInboundContext } from '../inbound.ts'
import { readParamsFile } from '../params-file.ts'
import { openStore } from '../open-store.ts'
import { storePath } from '../store-path.ts'

export const run: CommandFunction = async (invocation) => {
  const { args, options, output } = invocation
  const file = String(args[0])
  const labels = readLabels(options['label'])
  const maxParallel = readCount('--max-parallel', options['maxParallel'])
  if (options['only'] !== undefined && options['from'] !== undefined) {
    throw new SpanwrightError(
      'usage.invalid',
      '--only and --from cannot be given together: --only runs one node, --from a node and what follows',
    )
  }
  const { parsePipelineFile } = await import('../../pipeline/load.ts')
  const { readParams } = await import('../../pipeline/params.ts')
  const parsed = await parsePipelineFile(file)
  const { pipeline } = parsed
  const params = readParams(pipeline.params, { cli: listOf(options['param']), file: await paramsFrom(options) })
  for (const warning of parsed.warnings) {
    const { renderDiagnostic } = await import('../../pipeline/diagnostic.ts')
    output.say(`warning: ${renderDiagnostic(warning)}`)
  }
  if (options['skipPreflight'] !== true) {
    const { checkAgents, preflight } = await import('../preflight.ts')
    for (const warning of preflight(pipeline, process.env)) output.say(`warning: ${warning}`)
    await checkAgents(pipeline, storePath(options['store']), {
      refuse: options['dryRun'] !== true,
      probe: options['probeAgents'] === true,
      warn: (warning) => output.say(`warning: ${warning}`),
    })
  }
  if (options['dryRun'] === true) {
    const { renderPlan } = await import('../plan.ts')
    output.result(
      ...renderPlan(
        { pipeline, params, file, only: textOf(options['only']), from: textOf(options['from']) },
        output.look,
      ),
    )
    return 0
  }
  if (options['detach'] === true) {
    const { startDetached } = await import('../detach.ts')
    return await startDetached(
      process.argv.slice(2).filter((word) => word !== '--detach'),
      output,
    )
  }
  return await start({ invocation, parsed, params, labels, maxParallel })
}

interface Starting {
  readonly invocation: Invocation
  readonly parsed: ParsedPipeline
  readonly params: JsonObject
  readonly labels: { readonly [name: string]: string }
  readonly maxParallel: number | undefined
}

async function start({ invocation, parsed, params, labels, maxParallel }: Starting): Promise<number> {
  const { args, options, output } = invocation
  const { pipeline } = parsed
  const inbound = await readInboundContext(options, output)
  const { drive } = await import('../drive.ts')
  const { startRun } = await import('../../runner/start.ts')
  const { gitHead } = await import('../git-head.ts')
  const { packageVersion } = await import('../version.ts')
  const { surroundingStep } = await import('../surrounding-step.ts')
  const cwd = process.cwd()
  return await drive({
    invocation,
    store: await openStore(options),
    pipeline,
    functions: parsed.functions,
    start: (ports) =>
      startRun(
        {
          pipeline,
          pipelineHash: parsed.hash,
          pipelineFile: path.resolve(String(args[0])),
          params,
          labels,
          cwd,
          inbound,
          maxParallel,
          key: textOf(options['key']),
          only: textOf(options['only']),
          from: textOf(options['from']),
          git: gitHead(cwd),
          version: packageVersion(),
          parent: surroundingStep(process.env),
        },
        ports,
      ),
  })
}

const textOf = (value: Invocation['options'][string]): string | undefined =>
  typeof value === 'string' ? value : undefined
const listOf = (value: Invocation['options'][string]): readonly string[] =>
  Array.isArray(value) ? (value as readonly string[]) : []

async function paramsFrom(options: Invocation['options']): Promise<JsonObject | undefined> {
  return typeof options['params'] === 'string' ? await readParamsFile(options['params']) : undefined
}
