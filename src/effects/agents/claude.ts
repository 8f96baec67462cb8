// Owns: what is particular to claude.
import type { AgentAdapter } from './adapter.ts'

export const claude: AgentAdapter = {
  name: 'claude',
  versions: [],
  parseVersion: () => undefined,
  flags: [],
  credentialProblem: () => undefined,
  reportsCost: false,
  launch: () => ({ problem: 'claude is not in this version' }),
  reader: () => ({
    stdout: () => [],
    end: () => ({ events: [], verdict: { status: 'error', errorClass: 'unknown', usageComplete: false } }),
  }),
}
