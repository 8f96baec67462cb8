// Owns: from what a function threw to a failure reason. A function that throws says itself that it failed: code
// `agent_failed`, unless the error carries another: `failure: {code, message?}`, a `code` that is a failure code, or a
// network error of the system (`network`, so that it counts as transient).
import type { FailureCode, FailureReport } from '../core/failure.ts'
import { isJsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import { lastBytes, messageOf, reason } from './reason.ts'
import { claimedCode } from './status-report.ts'

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
])
const CAUSES = 5

export function thrownFailure(error: unknown, name: string): FailureReport {
  const chain = causeChain(error)
  const given = claimedReason(error)
  const code = given?.code ?? chain.map(codeOf).find((found) => found !== undefined) ?? 'agent_failed'
  const kind = error instanceof Error && error.name !== 'Error' ? `${error.name}: ` : ''
  return reason(code, given?.message ?? `function ${name} failed: ${kind}${messageOf(error)}`, 'command', {
    function: name,
    error: error instanceof Error ? error.name : typeof error,
    stack:
      error instanceof Error && error.stack
        ? lastBytes(error.stack.split('\n').slice(0, 20).join('\n'), LIMITS.failureTailBytes / 2)
        : undefined,
    caused_by:
      chain.length > 1
        ? chain
            .slice(1)
            .map((cause) => `${cause instanceof Error ? `${cause.name}: ` : ''}${messageOf(cause)}`.slice(0, 300))
        : undefined,
  })
}

/** The error and what caused it, in order. */
function causeChain(error: unknown): unknown[] {
  const chain: unknown[] = []
  for (
    let at = error;
    at !== undefined && at !== null && chain.length < CAUSES && !chain.includes(at);
    at = at instanceof Error ? at.cause : undefined
  )
    chain.push(at)
  return chain
}

function claimedReason(error: unknown): { code: FailureCode; message: string | undefined } | undefined {
  const failure = typeof error === 'object' && error !== null && 'failure' in error ? error.failure : undefined
  if (!isJsonObject(failure)) return undefined
  const code = claimedCode(failure['code'])
  return code && { code, message: typeof failure['message'] === 'string' ? failure['message'] : undefined }
}

function codeOf(error: unknown): FailureCode | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'string')
    return undefined
  return NETWORK.has(error.code) ? 'network' : claimedCode(error.code)
}
