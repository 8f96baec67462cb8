// Owns: what is particular to codex.
import type { AgentAdapter } from './adapter.ts'

export const codex: AgentAdapter = {
  name: 'codex',
  versions: [],
  parseVersion: () => undefined,
  flags: [],
  credentialProblem: () => undefined,
  reportsCost: false,
  launch: () => ({ problem: 'codex is not in this version' }),
  reader: () => ({
    stdout: () => [],
    end: () => ({ events: [], verdict: { status: 'error', errorClass: 'unknown', usageComplete: false } }),
  }),
}
