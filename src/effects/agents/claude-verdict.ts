// Owns: what the end of Claude Code means: from its last result, the error it told, the exit and who ended it. Neither the
// exit code nor `subtype: success` decides: SIGINT ends with 0, API errors call themselves success (seen with 2.1.329).
import { oneLine, shortened } from '../reason.ts'
import type { AgentExit, ErrorClass, Verdict } from './adapter.ts'
import { wasKilled } from './exits.ts'
import { asAmount, asFields, asList, asText, type Fields } from './loose-json.ts'
import { resetTime } from './reset-time.ts'

/** What is known at the end of a launch. */
export interface ClaudeEnd {
  /** The last one. */
  readonly result: Fields | undefined
  /** Another one would have followed. */
  readonly unfinished: boolean
  /** The last message by which the client told an API error itself. */
  readonly apiError: Fields | undefined
  /** Any line that was an event. */
  readonly spoke: boolean
  readonly brokenAnswer: boolean
  /** Epoch ms: by an event, or by a wait that the provider asked for. */
  readonly resetsAt: number | undefined
  readonly usageComplete: boolean
  readonly warnings: readonly string[]
}

export function claudeVerdict(end: ClaudeEnd, exit: AgentExit, at: number): Verdict {
  const { usageComplete, warnings } = end
  const common = { usageComplete, ...(warnings.length > 0 && { warnings }) }
  const { result } = end
  if (!result) return { ...common, ...withoutResult(end, exit, at) }
  if (end.unfinished) return { ...common, ...withoutResult(end, exit, at), usageComplete: false }
  if (result['is_error'] === false && result['subtype'] === 'success') return { ...common, status: 'ok' }
  if (wasAborted(result)) return { ...common, status: 'killed', message: 'it was interrupted' }
  return { ...common, ...failed(end, result, exit, at) }
}

/** What goes over that which all verdicts have. */
type Ending = Partial<Verdict> & Pick<Verdict, 'status'>

const wasAborted = (result: Fields): boolean => asText(result['terminal_reason'])?.startsWith('aborted') ?? false

function withoutResult(end: ClaudeEnd, exit: AgentExit, at: number): Ending {
  const which = end.result ? 'its last result' : 'its result'
  if (wasKilled(exit)) {
    const by = exit.signal ?? (exit.exitCode === undefined ? exit.ended : `exit code ${exit.exitCode}`)
    return { status: 'killed', message: `ended before ${which} (${by})` }
  }
  if (end.apiError) return apiFailure(end, end.apiError, at)
  const said = lastLine(exit.stderr)
  if (exit.exitCode === 0)
    return { status: 'error', errorClass: 'truncated_output', message: `ended with exit code 0 and without ${which}` }
  // It checks its arguments before it says anything on its standard output.
  if (!end.spoke && said !== undefined && isUsage(said))
    return { status: 'error', errorClass: 'usage', message: said, usageComplete: true }
  const message = said ?? `ended with exit code ${exit.exitCode} and without ${which}`
  return { status: 'error', errorClass: 'unknown', message }
}

const isUsage = (line: string): boolean =>
  /^error: |cannot be used|must be provided|already in use|unknown option|no conversation found|invalid /i.test(line)

function lastLine(text: string): string | undefined {
  const line = text.split('\n').findLast((part) => oneLine(part) !== '')
  return line === undefined ? undefined : shortened(oneLine(line), 1_000)
}

function failed(end: ClaudeEnd, result: Fields, exit: AgentExit, at: number): Ending {
  const message = messageOf(result) ?? lastLine(exit.stderr) ?? 'it reported an error without a reason'
  switch (result['subtype']) {
    case 'error_max_turns':
      return { status: 'limit', errorClass: 'max_turns', message }
    case 'error_max_budget_usd':
      return { status: 'limit', errorClass: 'budget', message }
    case 'success':
      return apiFailure(end, { ...end.apiError, ...withoutNulls(result) }, at)
    default:
      return { status: 'error', errorClass: isUsage(message) ? 'usage' : 'unknown', message }
  }
}

const withoutNulls = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))

function messageOf(said: Fields): string | undefined {
  const text =
    asText(said['result']) ??
    asList(said['errors'])
      .filter((error) => typeof error === 'string')
      .join('; ')
  return text === '' ? undefined : shortened(oneLine(text), 1_000)
}

/** @param said an error's message, or a result together with it */
function apiFailure(end: ClaudeEnd, said: Fields, at: number): Ending {
  const message = messageOf(said) ?? textOf(said) ?? 'the API refused the request'
  const httpStatus = asAmount(said['api_error_status'])
  const errorClass = brokeOff(classOf(said, message, httpStatus), message, end)
  const isLimit = errorClass === 'rate_limit' || errorClass === 'quota'
  const resetsAt = isLimit ? (toldReset(said) ?? end.resetsAt ?? resetTime(message, at)) : undefined
  return {
    status: isLimit ? 'limit' : 'error',
    errorClass,
    message,
    ...(httpStatus !== undefined && { httpStatus }),
    ...(resetsAt !== undefined && { resetsAt }),
    // What a broken answer costs is nowhere told.
    ...(errorClass === 'stream' && { usageComplete: false }),
  }
}

/** A connection that could not be made, or one that was lost in the middle of an answer. */
function brokeOff(told: ErrorClass | undefined, message: string, { brokenAnswer }: ClaudeEnd): ErrorClass {
  if (told !== undefined && told !== 'network') return told
  const isBroken = brokenAnswer || /JSON Parse error|ECONNRESET|connection dropped|socket hang up/i.test(message)
  return isBroken ? 'stream' : (told ?? 'unknown')
}

/** Text of the message in which an error is told. */
export function textOf(message: Fields): string | undefined {
  const texts = asList(asFields(message['message'])?.['content']).flatMap(
    (block) => asText(asFields(block)?.['text']) ?? [],
  )
  return texts.length === 0 ? undefined : shortened(oneLine(texts.join(' ')), 1_000)
}

const toldReset = (said: Fields): number | undefined =>
  resetOf(asFields(asFields(said['api_error_params'])?.['rate_limit_info']))

/** `resetsAt` of a rate limit, told in seconds. */
export function resetOf(info: Fields | undefined): number | undefined {
  const seconds = asAmount(info?.['resetsAt'])
  return seconds === undefined || seconds > 1e11 ? undefined : seconds * 1_000
}

function classOf(said: Fields, message: string, status: number | undefined): ErrorClass | undefined {
  if (said['stop_reason'] === 'refusal') return 'content_filter'
  if (said['terminal_reason'] === 'prompt_too_long' || /^prompt is too long/i.test(message)) return 'context_length'
  if (/out of (?:usage )?credits|credit balance|spend(?:ing)? limit|out of usage/i.test(message)) return 'quota'
  return byName(asText(said['api_error'])) ?? byStatus(said, status) ?? byName(asText(said['error']))
}

/** Error names of retries, messages and results. */
export function byName(name: string | undefined): ErrorClass | undefined {
  return name !== undefined && Object.hasOwn(NAMES, name) ? NAMES[name] : undefined
}

const NAMES: Readonly<Record<string, ErrorClass | undefined>> = {
  authentication_failed: 'auth',
  oauth_org_not_allowed: 'auth',
  billing_error: 'quota',
  rate_limit: 'rate_limit',
  usage_limit_reached: 'rate_limit',
  overloaded: 'overloaded',
  invalid_request: 'bad_request',
  model_not_found: 'not_found',
  connection_failed: 'network',
  max_output_tokens: 'output_limit',
  server_error: 'server',
}

function byStatus(said: Fields, status: number | undefined): ErrorClass | undefined {
  if (status === undefined) return undefined
  if (status === 529 || said['api_error_type'] === 'overloaded_error') return 'overloaded'
  if (status === 400) return byName(asText(said['error'])) ?? 'bad_request'
  return STATUSES[status] ?? (status >= 500 ? 'server' : status >= 400 ? 'bad_request' : undefined)
}

const STATUSES: Readonly<Record<number, ErrorClass | undefined>> = {
  401: 'auth',
  402: 'quota',
  403: 'auth',
  404: 'not_found',
  408: 'server',
  413: 'context_length',
  429: 'rate_limit',
}
