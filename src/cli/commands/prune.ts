// Owns: `prune`: deletes runs that ended long ago. Never one that runs, is lost, or could still be resumed.
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { parseDuration } from '../../core/duration.ts'
import { SpanwrightError } from '../../core/error.ts'
import { fromTimestamp } from '../../core/time.ts'
import type { CommandFunction } from '../command-table.ts'
import { openStore } from '../open-store.ts'
import { runFacts, unlessDamaged } from '../run-report.ts'
import { bytes, counted } from '../terminal/amounts.ts'

const DEFAULT_AGE = '30d'

export const prune: CommandFunction = async ({ options, output }) => {
  const text = typeof options['olderThan'] === 'string' ? options['olderThan'] : DEFAULT_AGE
  const age = parseDuration(text)
  if (age === undefined)
    throw new SpanwrightError(
      'usage.invalid',
      `--older-than ${text}: expected a duration with a unit, such as 30d or 12h`,
    )
  const store = await openStore(options)
  const dryRun = options['dryRun'] === true
  const before = Date.now() - age
  const freed: { readonly run_id: string; readonly bytes: number }[] = []
  let resumable = 0
  for (const runId of store.list()) {
    const { final, condition } = unlessDamaged(runId, output, () => runFacts(store, runId)) ?? {}
    if (!final || condition !== 'ended' || fromTimestamp(final.finished_at) >= before) continue
    if (final.resumable) {
      resumable++
      continue
    }
    const { directory } = store.paths(runId)
    freed.push({ run_id: runId, bytes: sizeOf(directory) })
    if (!dryRun) store.remove(runId)
  }
  const total = freed.reduce((sum, run) => sum + run.bytes, 0)
  if (options['json'] === true)
    output.json({ removed: freed, bytes: total, kept_resumable: resumable, dry_run: dryRun })
  else {
    output.result(...freed.map((run) => run.run_id))
    const kept = resumable > 0 ? `; kept ${counted(resumable, 'run')} that could still be resumed` : ''
    output.say(
      `${dryRun ? 'Would remove' : 'Removed'} ${counted(freed.length, 'run')} that ended more than ${text} ago, ${bytes(total)}${kept}.`,
    )
  }
  return 0
}

function sizeOf(directory: string): number {
  let total = 0
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    total += statSync(path.join(directory, name), { throwIfNoEntry: false })?.size ?? 0
  }
  return total
}
