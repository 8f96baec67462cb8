// Owns: from how an agent ended to its failure reason (the table of DESIGN 5), with everything that tells why, and to the
// structured answer that was asked for.
import type { AgentSpec } from '../../core/agent.ts'
import type { FailureCode, FailureReport, FailureSource } from '../../core/failure.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { LIMITS } from '../../core/limits.ts'
import { lastJson } from '../fenced-json.ts'
import { misfit } from '../json-schema.ts'
import type { Ending } from '../process.ts'
import { processFailure } from '../process-failure.ts'
import { lastBytes, oneLine, reason, shortened, tellingLine } from '../reason.ts'
import type { AgentExit, ErrorClass, Verdict } from './adapter.ts'
import type { RecordBuilder, ToolCall } from './record.ts'
import type { Stall } from './stalls.ts'

const CODES: { readonly [errorClass in ErrorClass]: FailureCode } = {
  auth: 'auth_failed',
  rate_limit: 'rate_limited',
  quota: 'rate_limited',
  overloaded: 'rate_limited',
  server: 'provider_unavailable',
  stream: 'provider_unavailable',
  network: 'network',
  bad_request: 'config_invalid',
  not_found: 'config_invalid',
  usage: 'config_invalid',
  context_length: 'context_overflow',
  max_turns: 'turn_limit',
  budget: 'budget_exhausted',
  loop: 'stalled',
  truncated_output: 'agent_crashed',
  output_limit: 'agent_failed',
  content_filter: 'agent_failed',
  denied: 'agent_failed',
  unknown: 'agent_failed',
}

/** What to say when client and provider said nothing. */
const SENTENCES: { readonly [errorClass in ErrorClass]: string } = {
  auth: 'its provider refused the credentials',
  rate_limit: 'its provider limits the rate of requests',
  quota: 'its quota is used up',
  overloaded: 'its provider is overloaded',
  server: 'its provider failed',
  stream: 'the answer of its provider broke off',
  network: 'its provider could not be reached',
  bad_request: 'its provider did not accept the request',
  not_found: 'its provider does not know the model',
  usage: 'it was called in a way it does not know',
  context_length: 'the conversation is larger than the model takes',
  max_turns: 'it reached its limit of turns',
  budget: 'it reached its own budget',
  loop: 'it repeated itself',
  truncated_output: 'it ended without its last word: its output breaks off',
  output_limit: 'the answer reached the length that the model may write',
  content_filter: 'its provider held the answer back',
  denied: 'it was not allowed to do what it needed',
  unknown: 'it failed',
}

export const codeOf = (errorClass: ErrorClass | undefined): FailureCode => CODES[errorClass ?? 'unknown']

export interface AgentEnd {
  readonly spec: AgentSpec
  /** File name of the program, for messages. */
  readonly program: string
  readonly cwd: string
  readonly graceMs: number
  readonly timeoutMs: number | undefined
  readonly ending: Ending
  readonly exit: AgentExit
  readonly verdict: Verdict
  readonly stall: Stall | undefined
  readonly record: RecordBuilder
  /** Its exit code counts: it prints text. */
  readonly text: boolean
}

/** Why it did not do its work; undefined when it did. What we did to it goes before what it did. */
export function agentFailure(end: AgentEnd): FailureReport | undefined {
  const { ending, exit, verdict, program } = end
  if (ending.spawnError) return fromProcess(end)
  if (exit.ended === 'stall' && end.stall) return stalled(end, end.stall)
  if (exit.ended === 'stop' || exit.ended === 'timeout') return withDetails(fromProcess(end), end)
  if (verdict.status === 'ok') return undefined
  if (end.text) return withDetails(fromProcess(end) ?? lost(end), end)
  if (isKilled(end)) return withDetails(byProcess(end) ?? lost(end), end)
  const errorClass = verdict.errorClass ?? (verdict.status === 'limit' ? 'rate_limit' : statusClass(verdict))
  const said = oneLine(verdict.message ?? '') || SENTENCES[errorClass]
  const source: FailureSource = PROVIDER.has(errorClass) ? 'provider' : 'agent'
  return reason(codeOf(errorClass), `${nameOf(end)}: ${said}${hint(end, errorClass)}`, source, {
    ...detailsOf(end),
    error_class: errorClass,
    command: program,
  })
}

const statusClass = (verdict: Verdict): ErrorClass => (verdict.status === 'denied' ? 'denied' : 'unknown')

/** By a signal that was not ours, or an exit that stands for one. */
const isKilled = ({ verdict, exit }: AgentEnd): boolean => verdict.status === 'killed' && exit.ended === undefined

const PROVIDER: ReadonlySet<ErrorClass> = new Set([
  'auth',
  'rate_limit',
  'quota',
  'overloaded',
  'server',
  'stream',
  'network',
  'content_filter',
])

const nameOf = ({ spec, record }: AgentEnd): string => {
  const model = record.spending.model
  return model === undefined ? spec.use : `${spec.use} (${model})`
}

/** Where nothing was said in the stream, stderr often tells. */
function hint({ verdict, exit }: AgentEnd, errorClass: ErrorClass): string {
  if (verdict.message !== undefined && errorClass !== 'truncated_output') return ''
  const line = tellingLine(exit.stderr, '')
  return line === undefined || verdict.message?.includes(line) ? '' : `; on stderr: ${line}`
}

/** The stream of a client is no text for people: nothing of it is quoted. */
const fromProcess = ({ program, ending, cwd, graceMs, timeoutMs, text }: AgentEnd): FailureReport | undefined =>
  processFailure({
    executable: { file: program, args: [], bindings: {}, command: program, title: program, name: program },
    ending: text ? ending : { ...ending, stdout: { ...ending.stdout, tail: '' } },
    cwd,
    graceMs,
    timeoutMs,
    source: 'agent',
  })

/** A signal is told by the process; a code that only stands for one is not trusted more than what the client says. */
const byProcess = (end: AgentEnd): FailureReport | undefined =>
  end.exit.signal !== undefined || end.ending.oomKills > 0 ? fromProcess(end) : undefined

/** It caught the signal that ended it. */
function lost(end: AgentEnd): FailureReport {
  const { exitCode } = end.exit
  const signal = exitCode !== undefined && exitCode > 128 && exitCode <= 128 + 64 ? exitCode - 128 : undefined
  const how = signal === undefined ? '' : ` by signal ${signal}, which Spanwright did not send`
  const said = end.verdict.message ? `: ${end.verdict.message}` : ''
  return reason(
    signal === undefined ? 'agent_crashed' : 'signaled',
    `${nameOf(end)} was ended before its result${how}${said}`,
    'agent',
  )
}

function stalled(end: AgentEnd, stall: Stall): FailureReport {
  // Who is refused again and again is refused the next time, too.
  const code = stall.errorClass === 'auth' ? 'auth_failed' : 'stalled'
  const alive = end.ending.unkillable ? '; it did not even react to KILL and may still be there' : ''
  return reason(code, `${nameOf(end)} ${stall.told} and was ended${alive}`, 'agent', {
    ...detailsOf(end),
    stall: stall.reason,
    idle_ms: stall.idleMs,
    error_class: stall.errorClass,
  })
}

const withDetails = (failure: FailureReport | undefined, end: AgentEnd): FailureReport | undefined =>
  failure && { ...failure, details: { ...failure.details, ...detailsOf(end) } }

function detailsOf({ exit, verdict, record }: AgentEnd): JsonObject {
  const text = record.finalText?.trim() ?? ''
  const known = {
    exit_code: exit.exitCode,
    signal: exit.signal,
    http_status: verdict.httpStatus,
    error_class: verdict.errorClass,
    session_id: record.sessionId,
    stderr_tail: exit.stderr === '' ? undefined : lastBytes(exit.stderr, LIMITS.failureTailBytes / 2),
    last_tool: record.lastTool && toolDetails(record.lastTool),
    final_text: text === '' ? undefined : lastBytes(text, LIMITS.failureTailBytes / 2),
  }
  return JSON.parse(JSON.stringify(known)) as JsonObject
}

const toolDetails = (call: ToolCall): JsonObject => ({
  name: call.name,
  input: shortened(JSON.stringify(call.input), 500),
  ok: call.ok,
  exit_code: call.exit_code,
  output_tail: call.output_tail === null ? null : lastBytes(call.output_tail, 1_000),
})

/** The answer in the form that was asked for, from the client or from the text; or why it does not have it. */
export function structuredAnswer(
  record: RecordBuilder,
  schema: JsonObject | undefined,
): { readonly value?: Json | undefined } | { readonly failure: FailureReport } {
  const given = record.structured
  const value = given === undefined ? undefined : (JSON.parse(JSON.stringify(given) ?? 'null') as Json)
  if (!schema) return { value }
  const answer = value ?? lastJson(record.finalText ?? '')
  const text = lastBytes((record.finalText ?? '').trim(), 500)
  if (answer === undefined) {
    // Messages leave the machine, answers do not: what it said is in the details.
    const found = text === '' ? 'it is empty' : 'no JSON was found in it'
    const message = `the answer is not in the form that output_schema asks for: ${found}`
    return { failure: reason('invalid_output', message, 'agent', { text }) }
  }
  const problem = misfit(schema, answer)
  if (problem === undefined) return { value: answer }
  return { failure: reason('invalid_output', `the answer does not fit output_schema: ${problem}`, 'agent', { text }) }
}
