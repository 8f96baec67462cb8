// Owns: what is particular to gemini.
import type { AgentAdapter } from './adapter.ts'

export const gemini: AgentAdapter = {
  name: 'gemini',
  versions: [],
  parseVersion: () => undefined,
  flags: [],
  credentialProblem: () => undefined,
  reportsCost: false,
  launch: () => ({ problem: 'gemini is not in this version' }),
  reader: () => ({
    stdout: () => [],
    end: () => ({ events: [], verdict: { status: 'error', errorClass: 'unknown', usageComplete: false } }),
  }),
}
