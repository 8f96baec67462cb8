// Owns: what is particular to opencode.
import type { AgentAdapter } from './adapter.ts'

export const opencode: AgentAdapter = {
  name: 'opencode',
  versions: [],
  parseVersion: () => undefined,
  flags: [],
  credentialProblem: () => undefined,
  reportsCost: false,
  launch: () => ({ problem: 'opencode is not in this version' }),
  reader: () => ({
    stdout: () => [],
    end: () => ({ events: [], verdict: { status: 'error', errorClass: 'unknown', usageComplete: false } }),
  }),
}
