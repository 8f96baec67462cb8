// Owns: what is said when a run has ended: the closing summary on stderr, the last NDJSON line on stdout, annotations
// and job summary in GitHub Actions. Must not: compute the summary (closing.ts).
import path from 'node:path'
import { SpanwrightError } from '../core/error.ts'
import type { Pipeline } from '../core/pipeline.ts'
import type { Final } from '../journal/final.ts'
import type { Store } from '../journal/store.ts'
import type { Invocation } from './command-table.ts'
import { renderClosing, type Closing } from './closing.ts'
import { storeOption } from './open-store.ts'
import type { Ui } from './progress.ts'
import { shortId } from './store-path.ts'

export interface Ended {
  readonly store: Store
  readonly runId: string
  readonly pipeline: Pipeline
  readonly final: Final
  readonly error?: SpanwrightError | undefined
  readonly invocation: Invocation
  readonly ui: Ui
}

/** Says how the run ended. `quiet` says only what went wrong. */
export async function reportEnd(ended: Ended): Promise<void> {
  const { invocation, final, ui, error } = ended
  const { output } = invocation
  const closing = closingOf(ended)
  const wellEnded = final.result === 'success' && final.hook_failures.length === 0
  if (ui === 'json') output.result(JSON.stringify({ final }))
  else if (ui !== 'quiet' || !wellEnded) output.say(...renderClosing(closing, output.progressLook))
  if (error) output.say(`spanwright: ${error.message}`)
  if (process.env['GITHUB_ACTIONS'] === 'true') {
    const { reportToGithub } = await import('./github.ts')
    reportToGithub(closing, ended.pipeline, output)
  }
}

function closingOf({ store, runId, pipeline, final, invocation }: Ended): Closing {
  const { file } = store.readIdentity(runId).pipeline
  return {
    runId,
    shortId: shortId(runId, store.list()),
    pipeline: pipeline.name,
    result: final.result,
    failure: final.failure,
    hookFailures: final.hook_failures,
    durationMs: final.duration_ms,
    totals: final.totals,
    nodes: final.nodes,
    traceId: final.trace_id,
    resumable: final.resumable,
    budget: pipeline.budget,
    storeOption: storeOption(invocation.options),
    pipelineFile: file === undefined ? undefined : path.relative(process.cwd(), file),
  }
}
