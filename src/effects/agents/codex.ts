// Owns: what is particular to Codex (`codex exec`), seen with 0.169.0.
import type { AgentAdapter } from './adapter.ts'
import { credentialProblem } from './codex-home.ts'
import { codexLaunch, unsupported } from './codex-launch.ts'
import { CodexReader } from './codex-reader.ts'

export const codex: AgentAdapter = {
  name: 'codex',
  program: 'codex',
  versions: ['0.169.x'],
  parseVersion: (output) => /codex(?:-cli)? (\d+\.\d+\.\d+\S*)/.exec(output)?.[1],
  flags: ['--config', '--model', '--sandbox', '--add-dir'],
  credentialProblem,
  unsupported,
  accumulates: true,
  // It tells tokens only.
  reportsCost: false,
  launch: codexLaunch,
  reader: (request) => new CodexReader(request),
}
