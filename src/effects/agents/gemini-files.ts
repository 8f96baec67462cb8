// Owns: the files that Gemini CLI is given: its local telemetry, settings of an isolated home, rules about tools.
import { join } from 'node:path'
import type { AgentSpec } from '../../core/agent.ts'
import type { AgentRequest } from './adapter.ts'
import { geminiFolder } from './gemini-conversation.ts'

/** Of one launch. In the attempt's directory while it runs, and gone after it. */
export const telemetryFile = ({ attemptDir, launch }: AgentRequest): string =>
  join(attemptDir, `gemini-telemetry-${launch}.log`)

/** False where the user has set up telemetry of his own in the environment: that is left alone; a run around this one is not he. */
export const ownTelemetry = ({ env }: AgentRequest): boolean =>
  !env['GEMINI_TELEMETRY_ENABLED'] || /gemini-telemetry-\d+\.log$/.test(env['GEMINI_TELEMETRY_OUTFILE'] ?? '')

/** Tries of one request, the first included: enough for a hiccup; what lasts is for fallbacks and waits of the run. */
const MAX_ATTEMPTS = 3

/**
 * An isolated home has no settings: how to log in, and that it talks to nobody but its model. All agents of a run share it,
 * so nothing in it differs from node to node.
 */
export function settingsFile(request: AgentRequest): { readonly path: string; readonly text: string } {
  const { env } = request
  const selectedType = authType(env)
  const settings = {
    ...(selectedType !== undefined && { security: { auth: { selectedType } } }),
    general: { enableAutoUpdate: false, enableAutoUpdateNotification: false, maxAttempts: MAX_ATTEMPTS },
    privacy: { usageStatisticsEnabled: false },
  }
  return { path: join(geminiFolder(request), 'settings.json'), text: `${JSON.stringify(settings, null, 2)}\n` }
}

/** The way to log in that the environment is for. A gateway's address alone is not taken for one without it. */
export function authType(env: AgentRequest['env']): string | undefined {
  if (env['GOOGLE_GENAI_USE_GCA'] === 'true') return 'oauth-personal'
  if (env['GOOGLE_GENAI_USE_VERTEXAI'] === 'true') return 'vertex-ai'
  return env['GEMINI_API_KEY'] ? 'gemini-api-key' : undefined
}

/** Tools that change something, run something or reach out; all else only looks. */
const CHANGING = ['run_shell_command', 'write_file', 'replace', 'web_fetch', 'activate_skill', 'save_memory', 'mcp_*']

/** Rules about tools; undefined when its approval mode says all. A denied tool is not even offered to the model. */
export function policyFile(request: AgentRequest): { readonly path: string; readonly text: string } | undefined {
  const { spec, attemptDir } = request
  const rules = [
    ...(spec.permission === 'read' ? CHANGING.map((tool) => rule(tool, 'deny', 900)) : []),
    ...(spec.allowed_tools ?? []).map((tool) => rule(tool, 'allow', 950)),
    ...(spec.denied_tools ?? []).map((tool) => rule(tool, 'deny', 990)),
  ]
  if (rules.length === 0) return undefined
  return { path: join(attemptDir, 'gemini-policy.toml'), text: `${rules.join('\n\n')}\n` }
}

/** `tool`, or `run_shell_command(git push)` for commands that begin so. */
function rule(tool: string, decision: 'allow' | 'deny', priority: number): string {
  const [, name = tool, prefix] = /^([^()]+)\((.*)\)$/s.exec(tool.trim()) ?? []
  return [
    '[[rule]]',
    `toolName = ${JSON.stringify(name.trim())}`,
    ...(prefix === undefined ? [] : [`commandPrefix = ${JSON.stringify(prefix.replace(/[:*\s]+$/, ''))}`]),
    `decision = "${decision}"`,
    `priority = ${priority}`,
    ...(decision === 'allow' ? ['allowRedirection = true'] : []),
  ].join('\n')
}

/** Looking only needs no approvals; else everything that is not denied is approved. */
export const approvalMode = ({ permission }: AgentSpec): string => (permission === 'read' ? 'default' : 'yolo')
