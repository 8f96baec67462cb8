// Owns: what an attempt asks of its agent, whoever that is: templates filled in, the environment with its allow-list, the
// home directory, the conversation to go on with.
import { createHash } from 'node:crypto'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { AgentSpec } from '../../core/agent.ts'
import type { RunAttempt } from '../../core/commands.ts'
import type { FailureReport } from '../../core/failure.ts'
import type { JsonObject } from '../../core/json.ts'
import type { Session } from '../../core/outcome.ts'
import { asText, fill } from '../../core/template.ts'
import { makeDirectory } from '../../journal/atomic-file.ts'
import { unfit } from '../command-line.ts'
import type { Ground } from '../command-run.ts'
import { childEnvironment, declaredEnvironment, secretsOf, type Environment } from '../environment.ts'
import { markerOf, MARKERS } from '../marker.ts'
import type { AgentRequest } from './adapter.ts'

/** Everything but the prompt, and what differs from launch to launch. */
export type Asked = Omit<AgentRequest, 'prompt' | 'launch' | 'newSessionId'> & {
  readonly marker: string
  readonly declared: Environment
}

/** Below the run's directory; shared by its attempts, so that a later one finds the conversations of an earlier one. */
const HOMES = 'homes'
/** Without these hardly any program runs, so no allow-list has to name them. */
const ALWAYS_ALLOWED = /^(?:PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|TERM)$/

/** What is asked, or why it cannot be (`config_invalid`, `config_missing`). */
export function askedOf(
  ground: Ground,
  command: RunAttempt & { readonly agent: AgentSpec },
  directory: string,
): Asked | { readonly failure: FailureReport } {
  const { context } = ground
  const { place, inputs } = command
  const spec = filledSpec(command.agent, inputs)
  if ('failure' in spec) return spec
  const declared = declaredEnvironment(place, inputs)
  if ('failure' in declared) return declared
  const secrets = secretsOf(place, context.secrets)
  if ('failure' in secrets) return secrets
  const isolated = spec.home === 'isolated'
  const home = isolated ? join(context.runDir, HOMES, spec.use) : (context.env['HOME'] ?? homedir())
  const marker = markerOf(context.runId, command.id)
  const inherited = spec.env_allow ? onlyAllowed(ground.inherited, spec.env_allow) : ground.inherited
  const own = isolated ? homeVariables(home) : {}
  if (isolated) makeDirectory(home)
  return {
    spec,
    cwd: place.cwd === undefined ? context.cwd : resolve(context.cwd, asText(fill(place.cwd, inputs))),
    attemptDir: directory,
    session: sessionOf(command, spec),
    usdLeft: command.left.usd,
    prices: context.prices,
    home,
    isolated,
    env: childEnvironment(inherited, [ground.agentTelemetry(marker), own, declared.values, secrets.values], place, {
      runId: context.runId,
      runDir: context.runDir,
      attemptId: command.id,
      attempt: command.attempt,
      maxAttempts: command.max,
      attemptDir: directory,
      marker,
    }),
    inputs,
    marker,
    declared: declared.values,
  }
}

/** The command line keeps its templates: its values travel in another way (command-line.ts). */
function filledSpec(spec: AgentSpec, inputs: JsonObject): AgentSpec | { readonly failure: FailureReport } {
  const text = (template: string): string => asText(fill(template, inputs))
  const given = (template: string | undefined): string | undefined =>
    template === undefined ? undefined : text(template) || undefined
  const filled = {
    ...spec,
    prompt: text(spec.prompt),
    session: text(spec.session),
    args: spec.args.map(text),
    model: given(spec.model),
    program: given(spec.program),
    base_url: given(spec.base_url),
    api_key_env: given(spec.api_key_env),
    allowed_tools: spec.allowed_tools?.map(text),
    denied_tools: spec.denied_tools?.map(text),
  }
  const { args, model, program, base_url, session } = filled
  for (const value of [...args, model, program, base_url, session]) {
    const problem = value === undefined ? undefined : unfit(value, 'agent', 0)
    if (problem) return { failure: { ...problem, source: 'agent' } }
  }
  return filled
}

/** `NAME` or `PREFIX*`. The markers stay: without them what the agent leaves behind could not be found. */
export function onlyAllowed(inherited: Environment, allowed: readonly string[]): Environment {
  const isAllowed = (name: string): boolean =>
    name === MARKERS ||
    ALWAYS_ALLOWED.test(name) ||
    allowed.some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern))
  return Object.fromEntries(Object.entries(inherited).filter(([name]) => isAllowed(name)))
}

const homeVariables = (home: string): Environment => ({
  HOME: home,
  XDG_CONFIG_HOME: join(home, '.config'),
  XDG_DATA_HOME: join(home, '.local', 'share'),
  XDG_STATE_HOME: join(home, '.local', 'state'),
  XDG_CACHE_HOME: join(home, '.cache'),
})

/** The core knows the conversations of the run; one from elsewhere is known by its id only. */
function sessionOf(command: RunAttempt, spec: AgentSpec): Session | undefined {
  if (command.session) return command.session
  const id = spec.session.trim()
  return id === '' || id === 'new' || id === 'continue' ? undefined : { id }
}

/** A UUID that is the same for the same launch: what runs again after a crash does not make a second conversation. */
export function sessionIdOf(runId: string, attemptId: string, launch: number): string {
  const hex = createHash('sha256').update(`${runId}\n${attemptId}\n${launch}`).digest('hex')
  const variant = ((Number.parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}
