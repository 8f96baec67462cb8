// Owns: how OpenCode is started: arguments, environment, permissions, and what can be known of its credentials. Facts:
// docs/agents/opencode.md, seen with 1.18.33.
import type { AgentAdapter, AgentLaunch, AgentRequest } from './adapter.ts'
import type { Environment } from '../environment.ts'
import { permissionRules } from './opencode-permissions.ts'
import { databaseOf } from './opencode-sessions.ts'
import { OpencodeReader } from './opencode-stream.ts'
import { withAnswerForm } from './structured-answer.ts'

const PROGRAM = 'opencode'

export const opencode: AgentAdapter = {
  name: 'opencode',
  program: PROGRAM,
  versions: ['1.18.x'],
  parseVersion: (output) => /^v?(\d+\.\d+\.\d+\S*)$/m.exec(output.trim())?.[1],
  // Of its main help, which does not name those of `run`.
  flags: ['--print-logs', '--log-level', '--model', '--session', '--auto'],
  // Providers, their keys and their logins are the user's configuration; some need no key at all.
  credentialProblem: () => undefined,
  reportsCost: false,
  launch,
  reader: (request) => new OpencodeReader(request),
}

function launch(request: AgentRequest): AgentLaunch {
  const { spec, session } = request
  const args = ['run', '--format', 'json', '--print-logs', '--log-level', 'ERROR']
  if (spec.model !== undefined) args.push('--model', spec.model)
  // A title of its own spares the request that makes one, of which nothing is told.
  if (session) args.push('--session', session.id)
  else args.push('--title', 'spanwright')
  if (spec.permission === 'full') args.push('--auto')
  return {
    file: spec.program ?? PROGRAM,
    args: [...args, ...spec.args],
    stdin: withAnswerForm(request.prompt, spec.output_schema),
    env: {
      OPENCODE_PERMISSION: permissionRules(spec, request.env['OPENCODE_PERMISSION']),
      OPENCODE_DISABLE_AUTOUPDATE: '1',
      OPENCODE_DISABLE_SHARE: '1',
      ...(request.isolated && { OPENCODE_DB: databaseOf(request) }),
      // Its working directory is where it is started, whatever a shell says.
      PWD: request.cwd,
      ...quietTelemetry(request.env),
    },
  }
}

/**
 * OTEL_EXPORTER_OTLP_ENDPOINT alone makes it send some thousand spans of its inside that join no trace. The same receiver
 * named for each signal does not, and commands that it runs still find it. Left alone where agents shall tell of themselves.
 */
function quietTelemetry(env: Environment): Environment {
  const endpoint = env['OTEL_EXPORTER_OTLP_ENDPOINT']?.trim()
  if (!endpoint || /^(?:on|1|true)$/i.test(env['SPANWRIGHT_AGENT_TELEMETRY']?.trim() ?? '')) return {}
  const grpc = env['OTEL_EXPORTER_OTLP_PROTOCOL'] === 'grpc'
  const base = endpoint.replace(/\/+$/, '')
  const named = ['TRACES', 'METRICS', 'LOGS'].flatMap((signal) => {
    const name = `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`
    return env[name] ? [] : [[name, grpc ? endpoint : `${base}/v1/${signal.toLowerCase()}`]]
  })
  return { ...Object.fromEntries(named), OTEL_EXPORTER_OTLP_ENDPOINT: '' }
}
