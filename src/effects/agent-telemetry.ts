// Owns: what a child is told when the agents' own telemetry is switched on: variables for clients that send OTLP when
// asked (Claude Code by its environment, Codex by `-c` arguments). Must not: send anything, read other clients' files,
// or say more than the switch allows (prompts, answers and tool output only when content is captured).
import { hashUnit } from '../core/hash.ts'
import type { Environment } from './environment.ts'

/** The switch: `1` or `on`; absent, empty, `0` or `off` changes nothing. */
const SWITCH = 'SPANWRIGHT_AGENT_TELEMETRY'
/** What `--capture` sets; `content` lets prompts, answers and tool output into traces. */
export const CAPTURE = 'SPANWRIGHT_CAPTURE'
/** Arguments for `codex exec`, separated by spaces that no argument contains: a shell splits them unquoted. */
const CODEX_ARGUMENTS = 'SPANWRIGHT_CODEX_OTEL'

/**
 * Concurrent clients write the same delta series unless something bounded tells them apart. Two of one slot would have
 * to report within the same 2 ms to lose a point; 64 slots keep the number of series small.
 */
const SLOTS = 64

const SIGNALS = ['TRACES', 'METRICS', 'LOGS'] as const
type Signal = (typeof SIGNALS)[number]
type Env = Readonly<Record<string, string | undefined>>

/** Claude Code writes no prompt, answer, command or tool output without these; raw bodies are never asked for. */
const CLAUDE_CONTENT = [
  'OTEL_LOG_USER_PROMPTS',
  'OTEL_LOG_ASSISTANT_RESPONSES',
  'OTEL_LOG_TOOL_DETAILS',
  'OTEL_LOG_TOOL_CONTENT',
]

/** Variables of a child by its marker (run and attempt id). */
export type AgentTelemetry = (marker: string) => Environment

/**
 * What the switch adds to the environment of every child. What the user has set himself stays, except the variables
 * that let content out: for those the run's `--capture content` decides. Names and effects as seen with Claude Code
 * 2.1.329 and Codex 0.169.0.
 */
export function agentTelemetry(env: Env): AgentTelemetry {
  const targets = targetsOf(env)
  if (switchOf(env) !== 'on' || targets.size === 0) return () => ({})
  const content = given(env, CAPTURE) === 'content'
  const defaults = Object.entries(claudeDefaults(targets)).filter(([name]) => given(env, name) === undefined)
  const fixed = {
    ...Object.fromEntries(defaults),
    ...contentVariables(content),
    [CODEX_ARGUMENTS]: codexArguments(env, targets, content),
  }
  return (marker) => ({ ...fixed, OTEL_RESOURCE_ATTRIBUTES: resourceOf(marker, content) })
}

/** What `codex exec` is told, in an environment that holds what the switch adds; none when it is off. */
export const codexTelemetryArguments = (env: Environment): readonly string[] =>
  env[CODEX_ARGUMENTS]?.split(' ').filter((argument) => argument !== '') ?? []

/** Why the switch has no effect although it is set, in a sentence; undefined = it has, or is off. */
export function agentTelemetryProblem(env: Env): string | undefined {
  const position = switchOf(env)
  if (position === 'unknown') return `${SWITCH} is neither on nor off, so agents send no telemetry of their own`
  if (position === 'on' && targetsOf(env).size === 0)
    return `${SWITCH} is on, but no receiver is named: set OTEL_EXPORTER_OTLP_ENDPOINT`
  return undefined
}

function switchOf(env: Env): 'on' | 'off' | 'unknown' {
  const value = given(env, SWITCH)?.toLowerCase() ?? 'off'
  if (value === '0' || value === 'off') return 'off'
  return value === '1' || value === 'on' ? 'on' : 'unknown'
}

/** Where each signal goes; none of those for which the user named no receiver or which he switched off. */
function targetsOf(env: Env): ReadonlyMap<Signal, string> {
  const targets = new Map<Signal, string>()
  if (given(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return targets
  for (const signal of SIGNALS) {
    const target = targetOf(env, signal)
    if (target !== undefined) targets.set(signal, target)
  }
  return targets
}

function targetOf(env: Env, signal: Signal): string | undefined {
  const exporter = given(env, `OTEL_${signal}_EXPORTER`) ?? 'otlp'
  if (!exporter.split(',').some((name) => name.trim() === 'otlp')) return undefined
  const own = given(env, `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`)
  if (own !== undefined) return URL.parse(own)?.href
  const base = given(env, 'OTEL_EXPORTER_OTLP_ENDPOINT')
  if (base === undefined || URL.parse(base) === null) return undefined
  return isGrpc(env, signal) ? base : `${base.replace(/\/+$/, '')}/v1/${signal.toLowerCase()}`
}

/** http/protobuf is what every OpenTelemetry SDK speaks; Claude Code has no default of its own. */
const protocolOf = (env: Env, signal: Signal): string =>
  given(env, `OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`) ?? given(env, 'OTEL_EXPORTER_OTLP_PROTOCOL') ?? 'http/protobuf'

const isGrpc = (env: Env, signal: Signal): boolean => protocolOf(env, signal) === 'grpc'

function claudeDefaults(targets: ReadonlyMap<Signal, string>): Environment {
  const exporters = SIGNALS.map((signal) => [`OTEL_${signal}_EXPORTER`, targets.has(signal) ? 'otlp' : 'none'])
  return {
    CLAUDE_CODE_ENABLE_TELEMETRY: '1',
    // Without it no spans.
    CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: '1',
    // Commands of the agent nest below the tool call that ran them, also behind another base URL.
    CLAUDE_CODE_PROPAGATE_TRACEPARENT: '1',
    ...Object.fromEntries(exporters),
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    // Clients flush when they end; this bounds what a killed one takes with it.
    OTEL_METRIC_EXPORT_INTERVAL: '10000',
    // Labels stay bounded and name nobody.
    OTEL_METRICS_INCLUDE_SESSION_ID: 'false',
    OTEL_METRICS_INCLUDE_ACCOUNT_UUID: 'false',
    OTEL_METRICS_INCLUDE_RESOURCE_ATTRIBUTES: 'false',
  }
}

function contentVariables(content: boolean): Environment {
  const asked = Object.fromEntries(CLAUDE_CONTENT.map((name) => [name, content ? '1' : '0']))
  return content ? asked : { ...asked, OTEL_LOG_RAW_API_BODIES: '0' }
}

/**
 * Codex takes an exporter per signal. Its log records quote the arguments and the output of every tool, whatever
 * `log_user_prompt` says, so that they are sent with content only.
 */
function codexArguments(env: Env, targets: ReadonlyMap<Signal, string>, content: boolean): string {
  const exporter = (signal: Signal): string => {
    const endpoint = targets.get(signal)
    if (endpoint === undefined || (signal === 'LOGS' && !content)) return '"none"'
    if (isGrpc(env, signal)) return `{otlp-grpc={endpoint=${toml(endpoint)}}}`
    const protocol = protocolOf(env, signal) === 'http/json' ? 'json' : 'binary'
    return `{otlp-http={endpoint=${toml(endpoint)},protocol="${protocol}"}}`
  }
  return [
    `otel.trace_exporter=${exporter('TRACES')}`,
    `otel.metrics_exporter=${exporter('METRICS')}`,
    `otel.exporter=${exporter('LOGS')}`,
    `otel.log_user_prompt=${content}`,
  ]
    .flatMap((setting) => ['-c', setting])
    .join(' ')
}

/** A TOML string; in a URL blanks and shell patterns are percent-encoded, so that no shell splits or expands it. */
const toml = (url: string): string =>
  JSON.stringify(new URL(url).href.replace(/[\s*?[\]]/g, (c) => encodeURIComponent(c).replace('*', '%2A')))

/** Never the orchestrator's own: which of the bounded slots this is, and whether content was asked for. */
function resourceOf(marker: string, content: boolean): string {
  const slot = Math.floor(hashUnit(marker) * SLOTS)
  return `spanwright.agent.slot=${slot}${content ? ',spanwright.capture=content' : ''}`
}

const given = (env: Env, name: string): string | undefined => env[name]?.trim() || undefined
