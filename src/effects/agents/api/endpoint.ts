// Owns: which provider is asked, at which address, with which key, as far as the pipeline and the environment tell.
import type { AgentChoice, Provider } from '../../../core/agent.ts'
import type { Environment } from '../../environment.ts'

export interface ApiEndpoint {
  readonly provider: Provider
  /** Complete, without the last part of the path (`/messages`, `/responses`, `/chat/completions`). Absent = the provider's own. */
  readonly baseUrl?: string | undefined
  /** Variable with the key. Absent: it needs none. */
  readonly keyVariable?: string | undefined
}

const CLAUDE = /^claude-/
const OPENAI = /^(?:gpt-|o\d|chatgpt-)/

/** The endpoint of a choice, or a sentence that says what is missing. */
export function endpointOf(spec: AgentChoice, env: Environment): ApiEndpoint | { readonly problem: string } {
  const provider = spec.provider ?? guess(spec)
  if (!provider) {
    return {
      problem: `which provider has ${spec.model ?? 'the model'}? Set provider: anthropic, openai or openai-compatible`,
    }
  }
  const inherited = { anthropic: 'ANTHROPIC_BASE_URL', openai: 'OPENAI_BASE_URL', 'openai-compatible': undefined }[
    provider
  ]
  const address = spec.base_url ?? (inherited === undefined ? undefined : env[inherited])
  if (address === undefined && provider === 'openai-compatible')
    return { problem: 'provider openai-compatible needs base_url, e.g. https://api.moonshot.ai/v1' }
  const baseUrl = address === undefined || address === '' ? undefined : normalized(address, provider)
  if (address !== undefined && address !== '' && baseUrl === undefined)
    return { problem: `base_url ${JSON.stringify(address)} is no http(s) address` }
  return { provider, baseUrl, keyVariable: spec.api_key_env ?? defaultKey(provider, env) }
}

function guess({ model = '', base_url }: AgentChoice): Provider | undefined {
  if (base_url !== undefined) return 'openai-compatible'
  if (CLAUDE.test(model)) return 'anthropic'
  return OPENAI.test(model) ? 'openai' : undefined
}

function defaultKey(provider: Provider, env: Environment): string | undefined {
  if (provider === 'openai-compatible') return undefined
  if (provider === 'openai') return 'OPENAI_API_KEY'
  return !env['ANTHROPIC_API_KEY'] && env['ANTHROPIC_AUTH_TOKEN'] ? 'ANTHROPIC_AUTH_TOKEN' : 'ANTHROPIC_API_KEY'
}

/** Users give Anthropic addresses as its own clients want them, without the version. */
function normalized(address: string, provider: Provider): string | undefined {
  if (!URL.canParse(address)) return undefined
  const url = new URL(address)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined
  const base = address.replace(/\/+$/, '')
  const version = url.pathname === '/' || (provider === 'anthropic' && !/\/v\d+\/?$/.test(url.pathname))
  return version ? `${base}/v1` : base
}
