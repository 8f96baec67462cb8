// Owns: the rules about `agent:` of a node and of `summaries:`: what goes with which agent, and who may take its place.
// Must not: know what a client can do; its adapter says that before a run starts.
import { AGENT_NAMES, type AgentName } from '../core/agent.ts'
import { LIMITS } from '../core/limits.ts'
import { didYouMean } from './diagnostic.ts'
import { asList, asRaw, asStrings, scopesOf, type Outline, type OutlineNode, type Raw, type Report } from './outline.ts'
import { retryOf } from './retry-of.ts'
import { checkObjectSchema } from './rules-json-schema.ts'
import { retry as retrySchema } from './schema-terms.ts'
import type { Path } from './yaml-source.ts'

/** Keys that belong to one kind of agent only. */
const API_KEYS = ['provider', 'base_url', 'api_key_env']
/** What only an agent with turns, tools and conversations of its own can be told. */
const AGENT_ONLY = ['max_turns', 'permission', 'allowed_tools', 'denied_tools', 'session', 'home']

/** Runs all rules about one agent node. */
export function checkAgent(node: OutlineNode, outline: Outline, report: Report): void {
  const agent = asRaw(node.raw['agent'])
  const path = [...node.path, 'agent']
  checkPrompt(agent, path, report)
  checkChoice(agent, path, report)
  checkTools(agent, path, report)
  checkSession(agent['session'], [...path, 'session'], report)
  if (agent['output_schema'] !== undefined)
    checkObjectSchema(agent['output_schema'], [...path, 'output_schema'], report)
  checkOthers(agent, path, report)
  checkEscalation(node, outline, report)
  if (agent['use'] === 'command' && !others(agent).some((other) => (other['use'] ?? 'command') !== 'command')) {
    for (const key of AGENT_ONLY.filter((name) => agent[name] !== undefined))
      report.warning('agent-key', [...path, key], `\`${key}\` means nothing to a command`, 'remove it')
  }
}

/** Runs the rules about who writes summaries: there is no node whose values expressions could see. */
export function checkSummaries(raw: Raw, report: Report): void {
  const agent = asRaw(asRaw(raw['summaries'])['agent'])
  const path = ['summaries', 'agent']
  if (Object.keys(agent).length === 0) return
  checkChoice(agent, path, report)
  for (const [key, value] of Object.entries(agent)) {
    if (JSON.stringify(value).includes('${{'))
      report.error('expression', [...path, key], 'expressions are not filled in here', 'write the value itself')
  }
}

function checkPrompt(agent: Raw, path: Path, report: Report): void {
  const given = ['prompt', 'prompt_file'].filter((key) => agent[key] !== undefined)
  if (given.length === 1) return
  const found = given.length === 0 ? 'none' : given.join(' and ')
  report.error('wrong-value', path, `\`agent\` needs exactly one of prompt, prompt_file; found ${found}`)
}

const CLIENTS: readonly AgentName[] = ['claude', 'codex', 'gemini', 'opencode']
/** Which agents a key is for, and what to do where it stands with another one. */
const OWNERS: readonly {
  readonly keys: readonly string[]
  readonly of: readonly AgentName[]
  readonly owner: string
  readonly fix: (use: string) => string
}[] = [
  {
    keys: ['command'],
    of: ['command'],
    owner: '`use: command`',
    fix: (use) => `write use: command, or \`program\` for another program in place of ${use}`,
  },
  {
    keys: API_KEYS,
    of: ['api'],
    owner: '`use: api`',
    fix: () => 'a client has its own settings; give it variables by `env`',
  },
  {
    keys: ['program'],
    of: CLIENTS,
    owner: `the clients (${CLIENTS.join(', ')})`,
    fix: (use) => (use === 'command' ? 'write the whole command in `command`' : 'remove it'),
  },
  {
    keys: ['args'],
    of: [...CLIENTS, 'api'],
    owner: 'agents that have options of their own',
    fix: () => 'write the whole command in `command`',
  },
]

/**
 * What must and what cannot go with `use`.
 * @param choice as it was written, the place of problems
 * @param whole the same with what it takes over from the agent it replaces
 */
function checkChoice(choice: Raw, path: Path, report: Report, whole: Raw = choice): void {
  const use = AGENT_NAMES.find((name) => name === whole['use'])
  if (!use) return
  for (const { keys, of, owner, fix } of OWNERS) {
    if (of.includes(use)) continue
    for (const key of keys.filter((name) => choice[name] !== undefined))
      report.error('agent-key', [...path, key], `\`${key}\` is for ${owner}; this is ${use}`, fix(use))
  }
  const missing = (key: string, why: string, fix: string): void => {
    if (whole[key] === undefined) report.error('missing-key', path, `${why}: missing key \`${key}\``, fix)
  }
  if (use === 'command')
    missing('command', '`use: command` runs a command of yours', 'add command: [my-agent, --stdin]')
  if (use === 'api') missing('model', '`use: api` has no model of its own', 'add model: …')
  if (use === 'api' && whole['provider'] === 'openai-compatible')
    missing('base_url', 'provider openai-compatible has no endpoint of its own', 'add base_url: https://…/v1')
  checkUrl(choice['base_url'], [...path, 'base_url'], report)
}

function checkUrl(url: unknown, path: Path, report: Report): void {
  if (typeof url !== 'string' || url.includes('${{')) return
  const parsed = URL.parse(url)
  if (parsed && (parsed.protocol === 'https:' || parsed.protocol === 'http:')) {
    if (parsed.username === '' && parsed.password === '') return
    report.error(
      'wrong-value',
      path,
      'an endpoint must not hold a password',
      'name the variable of the key in `api_key_env`',
    )
  } else report.error('wrong-value', path, `\`${url}\` is no web address`, 'write https://host/path')
}

function checkTools(agent: Raw, path: Path, report: Report): void {
  const denied = asStrings(agent['denied_tools'])
  for (const [index, tool] of asStrings(agent['allowed_tools']).entries()) {
    if (denied.includes(tool))
      report.error(
        'wrong-value',
        [...path, 'allowed_tools', index],
        `\`${tool}\` is allowed and denied`,
        'take it out of one of the lists',
      )
  }
  checkAllowed(agent, path, report)
}

/** Who means "only these" would be surprised: the list adds. Tools of MCP servers are what levels do not speak of. */
function checkAllowed(agent: Raw, path: Path, report: Report): void {
  const level = typeof agent['permission'] === 'string' ? agent['permission'] : 'workspace'
  const tool = asStrings(agent['allowed_tools']).find((name) => !name.startsWith('mcp') && !name.includes('${{'))
  if (level === 'read' || agent['use'] === 'command' || tool === undefined) return
  report.warning(
    'agent-tools',
    [...path, 'allowed_tools'],
    `\`allowed_tools\` adds to what \`permission: ${level}\` allows and takes nothing away; \`${tool}\` is allowed there unless your own settings refuse it`,
    'write permission: read to allow looking and these only, or name what to refuse in denied_tools',
  )
}

/** A word that is no id of a conversation is a keyword spelt wrong. */
function checkSession(session: unknown, path: Path, report: Report): void {
  if (typeof session !== 'string' || session.includes('${{') || /\d/.test(session)) return
  if (session === 'new' || session === 'continue') return
  const meant = didYouMean(session, ['new', 'continue'])
  report.error(
    'wrong-value',
    path,
    `\`${session}\` is no conversation${meant}`,
    'write new, continue, or an id: ${{ nodes.plan.session }}',
  )
}

const others = (agent: Raw): Raw[] => [
  ...asList(agent['fallback']).map(asRaw),
  ...(agent['escalate'] === undefined ? [] : [asRaw(agent['escalate'])]),
]

function checkOthers(agent: Raw, path: Path, report: Report): void {
  const seen = new Set([identity(agent)])
  const check = (other: Raw, at: Path, what: string, known: ReadonlySet<string>): void => {
    const whole = replaced(agent, other)
    checkChoice(other, at, report, whole)
    if (known.has(identity(whole)))
      report.warning(
        'agent-other',
        at,
        `${what} is the same agent with the same model again`,
        'name another `use` or `model`',
      )
  }
  for (const [index, item] of asList(agent['fallback']).entries()) {
    check(asRaw(item), [...path, 'fallback', index], 'this fallback', seen)
    seen.add(identity(replaced(agent, asRaw(item))))
  }
  if (agent['escalate'] !== undefined)
    check(asRaw(agent['escalate']), [...path, 'escalate'], 'the escalation', new Set([identity(agent)]))
}

const CHOICE_KEYS = ['use', 'model', 'program', 'args', 'command', ...API_KEYS]

/** What an entry of `fallback` or `escalate` comes to: without another `use`, what it leaves out stays as it was. */
function replaced(agent: Raw, other: Raw): Raw {
  const use = other['use'] ?? agent['use']
  const from = use === agent['use'] ? { ...agent, ...other } : other
  return Object.fromEntries(CHOICE_KEYS.map((key) => [key, key === 'use' ? use : from[key]]))
}

const identity = (choice: Raw): string => JSON.stringify(CHOICE_KEYS.map((key) => choice[key] ?? null))

/** An escalation after more failures than there are attempts never happens, unless the node is entered again. */
function checkEscalation(node: OutlineNode, outline: Outline, report: Report): void {
  const after = asRaw(asRaw(node.raw['agent'])['escalate'])['after']
  if (typeof after !== 'number' || isEnteredAgain(node, outline)) return
  const given = retrySchema.safeParse(node.raw['retry'] ?? asRaw(outline.raw['defaults'])['retry'] ?? 'none')
  if (!given.success) return
  const isDecision = node.raw['retry'] === undefined && node.raw['decision'] !== undefined
  const implied = isDecision && asRaw(outline.raw['defaults'])['retry'] === undefined
  const attempts = implied ? LIMITS.decisionAttempts : retryOf(given.data).max_attempts
  if (after < attempts) return
  const path = [...node.path, 'agent', 'escalate', 'after']
  const fix = `add retry: ${after + 1}, or a lower \`after\``
  report.warning(
    'agent-other',
    path,
    `it never takes over: the node has ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`,
    fix,
  )
}

function isEnteredAgain(node: OutlineNode, outline: Outline): boolean {
  for (const scope of scopesOf(outline.root)) for (const { routes } of scope.nodes) if (routes.length > 0) return true
  return node.routed
}
