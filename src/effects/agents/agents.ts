// Owns: which agents there are.
import type { AgentName } from '../../core/agent.ts'
import type { AgentAdapter } from './adapter.ts'
import { api } from './api.ts'
import { claude } from './claude.ts'
import { codex } from './codex.ts'
import { command } from './command.ts'
import { gemini } from './gemini.ts'
import { opencode } from './opencode.ts'

const ADAPTERS: Readonly<Record<AgentName, AgentAdapter>> = { claude, codex, gemini, opencode, api, command }

export const adapterOf = (name: AgentName): AgentAdapter => ADAPTERS[name]
