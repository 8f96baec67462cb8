// Owns: how Codex is started: arguments, prompt, schema file, where it keeps its things.
import path from 'node:path'
import type { AgentSpec, Permission } from '../../core/agent.ts'
import { codexTelemetryArguments } from '../agent-telemetry.ts'
import type { AgentLaunch, AgentRequest } from './adapter.ts'
import { codexHome, configText, customProvider } from './codex-home.ts'
import { threadsOf } from './codex-threads.ts'

/** Approval is always `never` in `codex exec`: what the sandbox does not allow fails. */
const SANDBOX: Readonly<Record<Permission, string>> = {
  read: 'read-only',
  workspace: 'workspace-write',
  full: 'danger-full-access',
}

/** Its own defaults make up to 30 requests of one that fails (4 retries, in 5 tries each); a request that hangs takes 5 min. */
const RETRIES: Readonly<Record<string, number>> = { request_max_retries: 2, stream_max_retries: 2 }

const SCHEMA_FILE = 'output-schema.json'

export function codexLaunch(request: AgentRequest): AgentLaunch | { readonly problem: string } {
  const { spec, session, home, isolated } = request
  const problem = unsupported(spec)
  if (problem !== undefined) return { problem }
  const schema = path.join(request.attemptDir, SCHEMA_FILE)
  return {
    file: spec.program ?? 'codex',
    args: [
      'exec',
      '--json',
      '--skip-git-repo-check',
      ...codexTelemetryArguments(request.env),
      ...(spec.model === undefined ? [] : ['-m', spec.model]),
      ...sandboxArguments(request),
      ...(spec.output_schema ? ['--output-schema', schema] : []),
      ...retryBounds(request),
      ...spec.args,
      ...(session ? ['resume', session.id] : []),
      '-',
    ],
    stdin: request.prompt,
    // It makes `.codex` below HOME itself, but refuses a CODEX_HOME that is not there.
    env: isolated ? { HOME: home, CODEX_HOME: '' } : {},
    files: spec.output_schema ? [{ path: schema, text: JSON.stringify(spec.output_schema) }] : [],
    side: () => threadsOf(request).files(),
  }
}

/** What Codex cannot be asked for. */
export function unsupported({ allowed_tools, denied_tools, max_turns, args }: AgentSpec): string | undefined {
  if (allowed_tools || denied_tools) {
    const key = allowed_tools ? 'allowed_tools' : 'denied_tools'
    return `agent.${key}: codex cannot choose its tools by name; leave it out and use agent.permission (read, workspace or full)`
  }
  if (max_turns !== undefined && args.includes('--ephemeral'))
    return 'agent.max_turns: codex cannot be limited with --ephemeral in agent.args, as it then writes down no requests; leave one of them out'
  return undefined
}

/** None when the user's own arguments choose: it takes the flag once only. The attempt's files stay writable for its report. */
function sandboxArguments({ spec, attemptDir }: AgentRequest): readonly string[] {
  if (spec.args.some((arg) => /^(?:-s|--sandbox)|^--dangerously-bypass-approvals-and-sandbox$/.test(arg))) return []
  const sandbox = ['-s', SANDBOX[spec.permission]]
  return spec.permission === 'workspace' ? [...sandbox, '--add-dir', attemptDir] : sandbox
}

/** The built-in provider's cannot be set; those that the user has set stay. */
function retryBounds(request: AgentRequest): readonly string[] {
  const config = configText(codexHome(request))
  const provider = customProvider(request.spec, config)
  if (provider === undefined) return []
  const given = `${request.spec.args.join('\n')}\n${config}`
  return Object.entries(RETRIES)
    .filter(([key]) => !given.includes(key))
    .flatMap(([key, count]) => ['-c', `model_providers.${provider}.${key}=${count}`])
}
