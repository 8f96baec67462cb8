// Owns: what a user may write where a run is meant (DESIGN 8).
import { SpanwrightError } from '../core/error.ts'

const SHOWN = 10

/** `latest`, or a unique beginning of one of `runIds` (sorted) in any case. `where` names the store. Throws run.not_found. */
export function resolveRun(text: string, runIds: readonly string[], where: string): string {
  const prefix = text.trim().toUpperCase()
  if (runIds.length === 0)
    throw new SpanwrightError('run.not_found', `there are no runs in ${where}; start one with \`spanwright run\``)
  if (prefix === 'LATEST') return runIds.at(-1)!
  const found = prefix === '' ? [] : runIds.filter((id) => id.startsWith(prefix))
  if (found.length === 1) return found[0]!
  if (found.length === 0) {
    throw new SpanwrightError(
      'run.not_found',
      `no run ${JSON.stringify(text)} in ${where}; \`spanwright runs\` lists them`,
    )
  }
  const shown = found.slice(-SHOWN)
  throw new SpanwrightError(
    'run.not_found',
    `${JSON.stringify(text)} is the beginning of ${found.length} runs in ${where}; write more of it`,
    {
      details: found.length > SHOWN ? [...shown, `and ${found.length - SHOWN} older ones`] : shown,
    },
  )
}
