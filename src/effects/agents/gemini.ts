// Owns: how Gemini CLI is started: arguments, environment, files, and what can be known of its credentials. Facts:
// docs/agents/gemini.md, seen with 0.61.0.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentSpec } from '../../core/agent.ts'
import type { Environment } from '../environment.ts'
import type { AgentAdapter, AgentLaunch, AgentRequest } from './adapter.ts'
import { conversationFinder, geminiFolder } from './gemini-conversation.ts'
import { approvalMode, authType, ownTelemetry, policyFile, settingsFile, telemetryFile } from './gemini-files.ts'
import { GeminiReader } from './gemini-stream.ts'
import { asFields, asText, objectIn } from './loose-json.ts'
import { withAnswerForm } from './structured-answer.ts'

const PROGRAM = 'gemini'

export const gemini: AgentAdapter = {
  name: 'gemini',
  program: PROGRAM,
  versions: ['0.61.x'],
  parseVersion: (output) => /^v?(\d+\.\d+\.\d+\S*)$/m.exec(output.trim())?.[1],
  flags: ['--output-format', '--approval-mode', '--skip-trust', '--model', '--session-id', '--resume', '--policy'],
  credentialProblem,
  reportsCost: false,
  launch,
  reader: (request) => new GeminiReader(request),
}

function launch(request: AgentRequest): AgentLaunch {
  const { spec, session, newSessionId } = request
  const policy = policyFile(request)
  const telemetry = telemetryFile(request)
  const conversation = conversationFinder(request, session?.id ?? newSessionId)
  const own = ownTelemetry(request)
  return {
    file: spec.program ?? PROGRAM,
    args: [
      '--output-format',
      'stream-json',
      '--approval-mode',
      approvalMode(spec),
      '--skip-trust',
      ...(spec.model === undefined ? [] : ['--model', spec.model]),
      ...(session ? ['--resume', session.id] : ['--session-id', newSessionId]),
      ...(policy ? ['--policy', policy.path] : []),
      ...spec.args,
    ],
    stdin: withAnswerForm(request.prompt, spec.output_schema),
    env: {
      // Else it starts itself again, and the first of the two ignores signals.
      GEMINI_CLI_NO_RELAUNCH: 'true',
      ...(own && localTelemetry(telemetry)),
    },
    files: [...(request.isolated ? [settingsFile(request)] : []), ...(policy ? [policy] : [])],
    side: () => [...(own ? [telemetry] : []), ...listed(conversation())],
  }
}

const listed = (file: string | undefined): readonly string[] => (file === undefined ? [] : [file])

/** To a file and nowhere else; a file beats every endpoint. Written soon, so that it is there when the client is killed. */
const localTelemetry = (file: string): Environment => ({
  GEMINI_TELEMETRY_ENABLED: 'true',
  GEMINI_TELEMETRY_TARGET: 'local',
  GEMINI_TELEMETRY_OUTFILE: file,
  GEMINI_TELEMETRY_LOG_PROMPTS: 'false',
  GEMINI_TELEMETRY_TRACES_ENABLED: 'false',
  OTEL_BLRP_SCHEDULE_DELAY: '100',
})

/** Any of them says how to log in. */
const AUTH_VARIABLES = [
  'GEMINI_API_KEY',
  'GOOGLE_GENAI_USE_GCA',
  'GOOGLE_GENAI_USE_VERTEXAI',
  'CLOUD_SHELL',
  'GEMINI_CLI_USE_COMPUTE_ADC',
]

function credentialProblem(spec: AgentSpec, env: Environment, home: string): string | undefined {
  const isolated = spec.home === 'isolated'
  if (isolated) {
    return authType(env) === undefined
      ? 'agent gemini has no credentials (an isolated home has no login of yours): set GEMINI_API_KEY (or GOOGLE_GENAI_USE_VERTEXAI=true), or write home: user'
      : undefined
  }
  const folder = geminiFolder({ env, home })
  if (selectedType(join(folder, 'settings.json')) !== undefined) return undefined
  // An address of a gateway is taken for the way to log in, and that way is then refused.
  if (env['GOOGLE_GEMINI_BASE_URL'] && !usesGoogle(env))
    return `agent gemini refuses GOOGLE_GEMINI_BASE_URL unless ${join(folder, 'settings.json')} says {"security":{"auth":{"selectedType":"gemini-api-key"}}}: write that, or home: isolated`
  if (AUTH_VARIABLES.some((name) => env[name])) return undefined
  // It reads keys from such files too.
  const here = process.cwd()
  const files = [join(folder, '.env'), join(home, '.env'), join(here, '.env'), join(here, '.gemini', '.env')]
  if (files.some((file) => existsSync(file))) return undefined
  return 'agent gemini has no credentials: set GEMINI_API_KEY, or start `gemini` once and log in'
}

const usesGoogle = (env: Environment): boolean =>
  env['GOOGLE_GENAI_USE_GCA'] === 'true' || env['GOOGLE_GENAI_USE_VERTEXAI'] === 'true'

function selectedType(file: string): string | undefined {
  try {
    const settings = objectIn(readFileSync(file, 'utf8').replaceAll(/^\s*\/\/.*$/gm, ''))
    return asText(asFields(asFields(settings?.['security'])?.['auth'])?.['selectedType'])
  } catch {
    return undefined
  }
}
