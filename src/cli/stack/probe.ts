// Owns: asking one part of the stack over HTTP whether it is ready, and saying in words why it is not.
import { cleanLine } from '../terminal/text.ts'
import type { Address } from './addresses.ts'
import type { Part } from './parts.ts'

/** `down`: no answer. `starting`: it answers that it is not ready yet. `broken`: it answers wrongly. */
export type PartState = 'up' | 'starting' | 'down' | 'broken'
export interface PartReport {
  readonly part: Part
  readonly url: string
  readonly state: PartState
  /** One sentence; none when the part is up. */
  readonly reason?: string
}

const TIMEOUT_MS = 3_000
/** More is not read of any answer. */
const ANSWER_BYTES = 1024 * 1024
const REASON_CHARS = 160

/** Asks all parts at once. Never rejects. */
export async function probeAll(addresses: readonly Address[], timeoutMs = TIMEOUT_MS): Promise<readonly PartReport[]> {
  return await Promise.all(addresses.map(async (address) => await probe(address, timeoutMs)))
}

async function probe({ part, url }: Address, timeoutMs: number): Promise<PartReport> {
  const { path, body, answers } = part.readiness
  let answer: Answer
  try {
    answer = await request(`${url}${path}`, timeoutMs, body)
  } catch (error) {
    return { part, url, ...silence(error, url, timeoutMs) }
  }
  const { status, text } = answer
  if (status === 200 && answers(text, parseJson(text))) return { part, url, state: 'up' }
  if (status === 503) return { part, url, state: 'starting', reason: `answers 503${quoted(text)}` }
  if (status === 200)
    return {
      part,
      url,
      state: 'broken',
      reason: `what answers there is not ${part.name}: another program has its port`,
    }
  const hint = status === 401 || status === 403 ? ': it asks for credentials' : quoted(text)
  return {
    part,
    url,
    state: 'broken',
    reason: `answers ${status} to ${body === undefined ? 'GET' : 'POST'} ${path}${hint}`,
  }
}

export interface Answer {
  readonly status: number
  readonly text: string
}

/** One request; rejects as `fetch` does. Redirects count as answers. */
export async function request(url: string, timeoutMs: number, body?: string): Promise<Answer> {
  const response = await fetch(url, {
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
    ...(body === undefined ? {} : { method: 'POST', body, headers: { 'content-type': 'application/json' } }),
  })
  let text = ''
  const decoder = new TextDecoder()
  // A redirect that is not followed has no body; neither has an empty answer.
  if (response.body) {
    for await (const chunk of response.body) {
      text += decoder.decode(chunk as Uint8Array, { stream: true })
      if (text.length > ANSWER_BYTES) break
    }
  }
  return { status: response.status, text }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const quoted = (text: string): string => {
  const line = cleanLine(text)
  return line === '' || line.startsWith('<') ? '' : `: ${line.slice(0, REASON_CHARS)}`
}

/** What it means that no answer came. */
function silence(error: unknown, url: string, timeoutMs: number): { state: PartState; reason: string } {
  const { host, hostname } = new URL(url)
  if (error instanceof Error && error.name === 'TimeoutError')
    return { state: 'down', reason: `no answer within ${timeoutMs / 1000} s` }
  const code = codeOf(error)
  switch (code) {
    case 'ECONNREFUSED':
      return { state: 'down', reason: `nothing listens on ${host}` }
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { state: 'down', reason: `the name ${hostname} cannot be resolved` }
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
      return { state: 'starting', reason: `${host} takes connections and closes them` }
    default:
      return { state: 'down', reason: `${host} cannot be reached: ${code ?? messageOf(error)}` }
  }
}

function codeOf(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined
  if (!(cause instanceof Error)) return undefined
  if ('code' in cause && typeof cause.code === 'string') return cause.code
  // Both families of an address were tried.
  const [first] = cause instanceof AggregateError ? cause.errors : []
  return first instanceof Error && 'code' in first && typeof first.code === 'string' ? first.code : undefined
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
