// Owns: the program a sentinel becomes when the process it watched is gone: puts the run to rest, then delivers what is
// missing of its trace. Nobody reads what it prints: what went wrong is found by `spanwright recover`.
// Argument: the run directory.
import path from 'node:path'
import { createNdjsonStore } from '../journal/ndjson-store.ts'
import { takeOver } from '../runner/take-over.ts'

// Whoever ends a process tree politely means the run, not the one who cleans up after it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

const runDir = path.resolve(process.argv[2] ?? '')
const store = createNdjsonStore(path.dirname(path.dirname(runDir)))
const final = await takeOver({ store, runId: path.basename(runDir), env: process.env, atOnce: true })
if (final) {
  // Loaded late: ending processes must not wait for it.
  const [{ isConfigured }, { exportRun }] = await Promise.all([
    import('../telemetry/settings.ts'),
    import('../telemetry/export-run.ts'),
  ])
  if (isConfigured(process.env)) await exportRun({ runDir, env: process.env, warn: () => {} })
}
process.exit(0)
