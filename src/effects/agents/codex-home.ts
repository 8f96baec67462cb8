// Owns: where Codex keeps its things: its home, the rollout file of a conversation, what its config and credentials say.
// Must not: change any of it.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import type { AgentSpec } from '../../core/agent.ts'
import type { Environment } from '../environment.ts'
import type { AgentRequest } from './adapter.ts'

/** Where Codex keeps conversations, config and credentials. An isolated home has its own. */
export const codexHome = ({ isolated, env, home }: Pick<AgentRequest, 'isolated' | 'env' | 'home'>): string =>
  (isolated ? undefined : env['CODEX_HOME']) || path.join((isolated ? undefined : env['HOME']) || home, '.codex')

const DAY_MS = 86_400_000
const UUID_7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-/i

/**
 * The file in which Codex writes down a conversation as it goes: `sessions/<year>/<month>/<day>/rollout-<time>-<id>.jsonl`,
 * by the local day on which it began, which its id holds.
 */
export function rolloutFile(home: string, thread: string): string | undefined {
  const [, high, low] = UUID_7.exec(thread) ?? []
  if (high === undefined || low === undefined) return undefined
  const began = Number.parseInt(high + low, 16)
  for (const day of [began, began - DAY_MS, began + DAY_MS]) {
    const folder = path.join(home, 'sessions', ...new Date(day).toISOString().slice(0, 10).split('-'))
    const name = filesIn(folder).find((file) => file.startsWith('rollout-') && file.endsWith(`-${thread}.jsonl`))
    if (name !== undefined) return path.join(folder, name)
  }
  return undefined
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

export const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

/** Text of config.toml; empty when there is none. */
export function configText(home: string): string {
  try {
    return readFileSync(path.join(home, 'config.toml'), 'utf8')
  } catch {
    return ''
  }
}

const ASSIGNED = (key: string): RegExp => new RegExp(String.raw`(?:^|[\s"'{,])${key}\s*=\s*["']?([\w.-]+)`, 'm')

/** A provider that is not the built-in one, as arguments or config name it. */
export function customProvider(spec: Pick<AgentSpec, 'args'>, config: string): string | undefined {
  const provider = argument(spec, 'model_provider') ?? ASSIGNED('model_provider').exec(config)?.[1]
  return provider === 'openai' ? undefined : provider
}

const argument = (spec: Pick<AgentSpec, 'args'>, key: string): string | undefined =>
  spec.args
    .map((arg) => new RegExp(String.raw`^(?:-c|--config=)?${key}\s*=\s*["']?([\w.-]+)`).exec(arg)?.[1])
    .findLast((value) => value !== undefined)

/**
 * Why Codex has no credentials for sure. `codex exec` takes CODEX_API_KEY or what `codex login` has stored; it does not look
 * at OPENAI_API_KEY (seen with 0.169.0). What another provider takes is its own business, except a variable that is named.
 */
export function credentialProblem(spec: AgentSpec, env: Environment, userHome: string): string | undefined {
  // A program in its place may bring its own.
  if (spec.program !== undefined && path.basename(spec.program) !== 'codex') return undefined
  const isolated = spec.home === 'isolated'
  // The home of an isolated one is made for the attempt: nothing is in it.
  const home = isolated ? undefined : codexHome({ isolated, env, home: userHome })
  const config = home === undefined ? '' : configText(home)
  if (spec.args.some((arg) => arg === '--oss' || /^(?:-p|--profile|\$\{\{)/.test(arg))) return undefined
  if (customProvider(spec, config) !== undefined) {
    const named = /\benv_key\s*=\s*["']([A-Za-z_]\w*)["']/.exec(spec.args.join('\n'))?.[1]
    return named === undefined || env[named]
      ? undefined
      : `agent codex has no credentials: it needs the variable ${named}, which its provider names as env_key: set it`
  }
  if (env['CODEX_API_KEY'] || env['CODEX_ACCESS_TOKEN']) return undefined
  if (home === undefined)
    return 'agent codex has no credentials (an isolated home has no login of yours): set CODEX_API_KEY, name a model_provider in args, or write home: user'
  if (existsSync(path.join(home, 'auth.json')) || /cli_auth_credentials_store/.test(config)) return undefined
  const other = env['OPENAI_API_KEY'] ? ' (it does not look at OPENAI_API_KEY)' : ''
  return `agent codex has no credentials${other}: run \`codex login\`, set CODEX_API_KEY, or name a model_provider in args`
}
