// Owns: what is particular to api.
import type { AgentAdapter } from './adapter.ts'

export const api: AgentAdapter = {
  name: 'api',
  versions: [],
  parseVersion: () => undefined,
  flags: [],
  credentialProblem: () => undefined,
  reportsCost: false,
  launch: () => ({ problem: 'api is not in this version' }),
  reader: () => ({
    stdout: () => [],
    end: () => ({ events: [], verdict: { status: 'error', errorClass: 'unknown', usageComplete: false } }),
  }),
}
