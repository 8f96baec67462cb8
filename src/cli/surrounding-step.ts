// Owns: which step of another run this process is part of, if any: it goes on record with the run it starts.
import type { RunIdentity } from '../journal/run-identity.ts'

/** From the environment that every step has. */
export function surroundingStep(env: NodeJS.ProcessEnv): RunIdentity['parent'] {
  const runId = env['SPANWRIGHT_RUN_ID']
  const attemptId = env['SPANWRIGHT_ATTEMPT_ID']
  if (!runId) return undefined
  return { run_id: runId, ...(attemptId ? { attempt_id: attemptId } : {}) }
}
