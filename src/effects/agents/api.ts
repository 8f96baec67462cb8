// Owns: what is particular to the `api` agent: our own program over a model API, started like every other client, so that
// a crash, a hang or a flood of output of it is no different from theirs.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AgentSpec } from '../../core/agent.ts'
import type { Environment } from '../environment.ts'
import type { AgentAdapter, AgentLaunch, AgentRequest } from './adapter.ts'
import { endpointOf, type ApiEndpoint } from './api/endpoint.ts'
import { optionsOf } from './api/options.ts'
import { TOOL_NAMES, type ApiRequest, type ToolName } from './api/protocol.ts'
import { apiReader } from './api/reader.ts'

/** Of the protocol and its behaviour. */
const VERSION = '1.0.0'
/** Turns when the pipeline names no limit. */
const MAX_TURNS = 250

/** Beside this module, in the sources, in dist/ and in the bundle. */
const PROGRAM = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './api-agent.ts' : './api-agent.js', import.meta.url),
)

export const api: AgentAdapter = {
  name: 'api',
  versions: [],
  parseVersion: () => undefined,
  flags: [],
  reportsCost: false,
  credentialProblem(spec, env) {
    const endpoint = endpointOf(spec, env)
    return 'problem' in endpoint ? endpoint.problem : keyProblem(spec, endpoint, env)
  },
  unsupported(spec) {
    const unfit = [optionsOf(spec.args), toolsOf(spec)].find((part) => 'problem' in part)
    return unfit && 'problem' in unfit ? unfit.problem : undefined
  },
  launch,
  reader: apiReader,
}

function keyProblem(spec: AgentSpec, { provider, keyVariable }: ApiEndpoint, env: Environment): string | undefined {
  if (keyVariable === undefined || env[keyVariable]) return undefined
  return `agent api has no credentials for ${spec.model ?? provider}: set ${keyVariable}, or name another variable in api_key_env`
}

function launch(request: AgentRequest): AgentLaunch | { readonly problem: string } {
  const { spec, env, home, session } = request
  if (spec.model === undefined) return { problem: 'model is missing: name the model to ask' }
  const endpoint = endpointOf(spec, env)
  if ('problem' in endpoint) return endpoint
  const keyless = keyProblem(spec, endpoint, env)
  if (keyless !== undefined) return { problem: keyless }
  const options = optionsOf(spec.args)
  if ('problem' in options) return options
  const tools = toolsOf(spec)
  if ('problem' in tools) return tools
  const { provider, baseUrl, keyVariable } = endpoint
  const asked: ApiRequest = {
    session: { id: session?.id ?? request.newSessionId, resume: session !== undefined },
    version: VERSION,
    provider,
    model: spec.model,
    ...(baseUrl !== undefined && { base_url: baseUrl }),
    api_key: keyVariable === undefined ? '' : (env[keyVariable] ?? ''),
    bearer: keyVariable?.endsWith('AUTH_TOKEN') ?? false,
    prompt: request.prompt,
    cwd: request.cwd,
    conversations: join(home, '.local', 'state', 'spanwright', 'conversations'),
    permission: spec.permission,
    tools,
    ...(spec.output_schema && { output_schema: spec.output_schema as NonNullable<ApiRequest['output_schema']> }),
    max_turns: spec.max_turns ?? MAX_TURNS,
    ...(request.prices && { prices: request.prices as NonNullable<ApiRequest['prices']> }),
    ...options,
  }
  return {
    file: spec.program ?? process.execPath,
    args: spec.program === undefined ? [PROGRAM] : [],
    stdin: `${JSON.stringify(asked)}\n`,
    dialogue: true,
    env: withoutKey(env, asked.api_key),
  }
}

const SHORTEST_KEY = 8

/** The key is in the request: neither the program's environment nor that of its commands has it, under whatever name. */
function withoutKey(env: Environment, key: string): Environment {
  const holds = (value: string): boolean =>
    key !== '' && (value === key || (key.length >= SHORTEST_KEY && value.includes(key)))
  return Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (holds(value) ? [[name, '']] : [])))
}

/** The tools it may use, in their usual order: those of its level, and those that are allowed by name. */
function toolsOf(spec: AgentSpec): ToolName[] | { readonly problem: string } {
  const unknown = [...(spec.allowed_tools ?? []), ...(spec.denied_tools ?? [])].filter(
    (name) => !TOOL_NAMES.some((tool) => tool === name),
  )
  if (unknown.length > 0)
    return { problem: `it has no tool ${unknown.join(', ')}: its tools are ${TOOL_NAMES.join(', ')}` }
  return TOOL_NAMES.filter(
    (name) =>
      (spec.permission !== 'read' || name === 'read' || spec.allowed_tools?.includes(name) === true) &&
      spec.denied_tools?.includes(name) !== true,
  )
}
