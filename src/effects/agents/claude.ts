// Owns: how Claude Code is started, and whether it can be. What it says is read in claude-reader.ts.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { AgentSpec, Permission } from '../../core/agent.ts'
import type { Environment } from '../environment.ts'
import type { AgentAdapter, AgentLaunch, AgentRequest } from './adapter.ts'
import { ClaudeReader } from './claude-reader.ts'
import { objectIn } from './loose-json.ts'

const EDIT_TOOLS = ['Edit', 'Write', 'NotebookEdit']

/**
 * `read`: whatever would be asked for is refused, and edits in any case; looking around needs no permission. `workspace`:
 * edits below its directory and any command. `full`: nothing is asked.
 */
const MODES: Readonly<Record<Permission, string>> = {
  read: 'dontAsk',
  workspace: 'acceptEdits',
  full: 'bypassPermissions',
}
const ALLOWED: Readonly<Record<Permission, readonly string[]>> = {
  read: [],
  workspace: ['Bash', 'WebFetch', 'WebSearch'],
  full: [],
}

/** Few tries of its own: retries are ours, visible and bounded. Its default is 10, over minutes. */
const DEFAULTS: Environment = {
  CLAUDE_CODE_MAX_RETRIES: '3',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  // Commands of the agent nest below the tool call that ran them, also behind another base URL.
  CLAUDE_CODE_PROPAGATE_TRACEPARENT: '1',
}

/** Claude Code, as seen with 2.1.329. Its prompt goes to its standard input: arguments have a limit. */
export const claude: AgentAdapter = {
  name: 'claude',
  program: 'claude',
  versions: ['2.1.x'],
  parseVersion: (output) => /^(\d+\.\d+\.\d+\S*) \(Claude Code\)/m.exec(output)?.[1],
  // --max-turns works but is not in its help.
  flags: [
    '--output-format',
    '--include-partial-messages',
    '--forward-subagent-text',
    '--session-id',
    '--resume',
    '--permission-mode',
    '--allowedTools',
    '--disallowedTools',
    '--max-budget-usd',
    '--json-schema',
  ],
  credentialProblem,
  unsupported,
  accumulates: true,
  reportsCost: true,
  launch,
  reader: (request) => new ClaudeReader(request),
}

function launch(request: AgentRequest): AgentLaunch | { readonly problem: string } {
  const { spec, session, env } = request
  const problem = unsupported(spec, env)
  if (problem !== undefined) return { problem }
  if (request.prompt.trim() === '') return { problem: 'the prompt is empty: Claude Code needs one' }
  return {
    file: spec.program ?? 'claude',
    args: [
      '--print',
      ...['--output-format', 'stream-json', '--verbose'],
      // The true usage of each request, and of runs that are killed.
      '--include-partial-messages',
      '--forward-subagent-text',
      ...(session ? ['--resume', session.id] : ['--session-id', request.newSessionId]),
      ...(spec.model === undefined ? [] : ['--model', spec.model]),
      ...permissionArgs(spec),
      ...(spec.max_turns === undefined ? [] : ['--max-turns', String(spec.max_turns)]),
      ...budgetArgs(request),
      ...(spec.output_schema === undefined ? [] : ['--json-schema', JSON.stringify(spec.output_schema)]),
      ...spec.args,
    ],
    stdin: request.prompt,
    env: {
      ...Object.fromEntries(Object.entries(DEFAULTS).filter(([name]) => env[name] === undefined)),
      ...(request.isolated && { CLAUDE_CONFIG_DIR: path.join(request.home, '.claude') }),
    },
  }
}

function unsupported({ permission }: AgentSpec, env: Environment): string | undefined {
  if (permission !== 'full' || process.getuid?.() !== 0 || env['IS_SANDBOX']) return undefined
  return 'Claude Code refuses permission: full to root: set IS_SANDBOX=1 in env: if this machine is a sandbox, run as another user, or use permission: workspace'
}

/** Lists come on top of the level: an edit tool that is allowed by name is not refused by `read`. */
function permissionArgs({ permission, allowed_tools: named = [], denied_tools: denied = [] }: AgentSpec): string[] {
  const allowed = [...new Set([...ALLOWED[permission], ...named])]
  const isNamed = (tool: string): boolean => named.some((entry) => entry.split('(')[0]?.trim() === tool)
  const edits = permission === 'read' ? EDIT_TOOLS.filter((tool) => !isNamed(tool)) : []
  const refused = [...new Set([...edits, ...denied])]
  return [
    ...['--permission-mode', MODES[permission]],
    ...(allowed.length > 0 ? ['--allowedTools', ...allowed] : []),
    ...(refused.length > 0 ? ['--disallowedTools', ...refused] : []),
  ]
}

/**
 * It ends itself after the request that goes over (counted from the start of this launch). For models that it does not know
 * it would count with a guess, so that only our own budget holds there.
 */
function budgetArgs({ usdLeft, spec, env }: AgentRequest): string[] {
  if (usdLeft === undefined || !hasListPrice(spec.model ?? env['ANTHROPIC_MODEL'])) return []
  return ['--max-budget-usd', String(Math.max(0.000_1, Number(usdLeft.toFixed(6))))]
}

const hasListPrice = (model: string | undefined): boolean =>
  model === undefined || /^(?:claude-|default$|best$|sonnet|opus|haiku)/.test(model)

const KEYS = ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKEN']
const CLOUDS = /^CLAUDE_CODE_USE_[A-Z]+$/

function credentialProblem(spec: AgentSpec, env: Environment, home: string): string | undefined {
  if (KEYS.some((name) => env[name])) return undefined
  // Other providers have credentials of their own kinds; a file descriptor or settings may hold a key.
  const isOther = Object.keys(env).some((name) => (CLOUDS.test(name) || name.endsWith('_FILE_DESCRIPTOR')) && env[name])
  if (isOther || spec.args.some((argument) => argument.startsWith('--settings'))) return undefined
  if (spec.home === 'user' && hasLogin(env, home)) return undefined
  const isUser = spec.home === 'user'
  const where = isUser ? '' : ' (an isolated home has no login of yours)'
  const other = isUser ? 'log in with `claude` as this user' : 'write home: user'
  return `agent claude has no credentials${where}: set ${KEYS[0]}, or ${KEYS[1]} for another endpoint, or ${other}`
}

/** A login or a helper for keys. On macOS the login is in the keychain, where nobody looks. */
function hasLogin(env: Environment, home: string): boolean {
  if (process.platform === 'darwin') return true
  const folder = env['CLAUDE_CONFIG_DIR'] || path.join(home, '.claude')
  if (existsSync(path.join(folder, '.credentials.json'))) return true
  return (
    settingsOf(path.join(folder, 'settings.json'))?.['apiKeyHelper'] !== undefined ||
    settingsOf('/etc/claude-code/managed-settings.json')?.['apiKeyHelper'] !== undefined ||
    settingsOf(env['CLAUDE_CONFIG_DIR'] ? path.join(folder, '.claude.json') : path.join(home, '.claude.json'))?.[
      'primaryApiKey'
    ] !== undefined
  )
}

function settingsOf(file: string): ReturnType<typeof objectIn> {
  try {
    return objectIn(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
