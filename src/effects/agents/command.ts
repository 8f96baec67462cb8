// Owns: what is particular to command.
import type { AgentAdapter } from './adapter.ts'

export const command: AgentAdapter = {
  name: 'command',
  versions: [],
  parseVersion: () => undefined,
  flags: [],
  credentialProblem: () => undefined,
  reportsCost: false,
  launch: () => ({ problem: 'command is not in this version' }),
  reader: () => ({
    stdout: () => [],
    end: () => ({ events: [], verdict: { status: 'error', errorClass: 'unknown', usageComplete: false } }),
  }),
}
