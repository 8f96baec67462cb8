// Owns: telling why something failed: the original cause as one sentence, the chain from it to the top with the place
// of each link, the lines that were said last. Facts only, from failure reasons. Used by every view.
import { originalCause, type Failure, type Result } from '../core/failure.ts'
import { parseAttemptId } from '../core/ids.ts'
import { clean, cleanLine } from './terminal/text.ts'

/** A node as final.json lists it. */
export interface FinalNode {
  readonly path: string
  readonly kind: string
  readonly result?: Result | undefined
  readonly visits: number
  readonly attempts: number
  readonly failure?: Failure | undefined
  /** What a model wrote about its failures. */
  readonly summary?: string | undefined
  /** Fan-outs: branches by how they came out. */
  readonly children?: { readonly total: number; readonly failed: number; readonly skipped: number } | undefined
}

/**
 * The message on one line, without the command it begins with: where the node is named, the command only pushes what
 * went wrong out of sight. `show` and final.json have it in full. The command of a check is not the node's.
 */
export function shortMessage(failure: Failure): string {
  const text = cleanLine(failure.message)
  if (failure.source === 'check') return text
  const rest = text.replace(/^`.*?` (?=(?:exited|was|ran|got|did|could|said|ended|stalled)\b)/, '')
  return rest === '' ? text : rest
}

/**
 * The attempt in which it began: that of the innermost reason which names one. A check's or hook's command has none of
 * its own.
 */
export function originAttempt(failure: Failure): string | undefined {
  const reasons: Failure[] = []
  for (let at: Failure | undefined = failure; at; at = at.causes?.[0]) reasons.unshift(at)
  return reasons.find(({ attempt_id }) => attempt_id !== undefined)?.attempt_id
}

export interface ChainLink {
  readonly code: string
  /** Attempt, node or branch; `run` where nothing else is known. */
  readonly where: string
  readonly message: string
}

/** From the original cause up to the run. */
export function causeChain(failure: Failure, nodes: readonly FinalNode[]): ChainLink[] {
  const reasons: Failure[] = []
  for (let at: Failure | undefined = failure; at; at = at.causes?.[0]) reasons.unshift(at)
  const origin = originAttempt(failure)
  const links: ChainLink[] = []
  for (const [depth, reason] of reasons.entries()) {
    const where =
      depth === 0 && origin !== undefined ? origin : (placeOf(reason, nodes, origin) ?? reason.attempt_id ?? 'run')
    const link = { code: reason.code, where: cleanLine(where), message: shortMessage(reason) }
    const last = links.at(-1)
    if (last?.code !== link.code || last.message !== link.message) links.push(link)
  }
  return links
}

/** The innermost listed node around the origin that ended with this very reason. */
function placeOf(reason: Failure, nodes: readonly FinalNode[], origin: string | undefined): string | undefined {
  const same = nodes.filter(({ failure }) => failure?.code === reason.code && failure.message === reason.message)
  const around = origin === undefined ? [] : same.filter(({ path }) => origin.startsWith(path))
  return (around.length > 0 ? around : same).toSorted((a, b) => b.path.length - a.path.length)[0]?.path
}

/** `Branch monsters failed: build exited with code 3: cannot find module "#fixtures", in all 2 attempts`. */
export function failedSentence(failure: Failure, nodes: readonly FinalNode[]): string {
  const cause = toldCause(failure)
  const message = shortMessage(cause).replace(/\.$/, '')
  const origin = originAttempt(failure)
  const parsed = origin === undefined ? undefined : parseAttemptId(origin)
  if (!parsed) return message
  const segments = parsed.path.split('/')
  const id = segments.at(-1) ?? parsed.path
  const branch = /:(.+)$/.exec(segments.at(-2) ?? '')?.[1]
  const node = nodes.find(({ path }) => path === parsed.path)
  const attempts =
    node && node.attempts > 1 ? `, in ${node.attempts === 2 ? 'both' : `all ${node.attempts}`} attempts` : ''
  const told = message === cleanLine(cause.message).replace(/\.$/, '') ? `${id} failed: ${message}` : `${id} ${message}`
  return branch === undefined ? `${told}${attempts}` : `Branch ${branch} failed: ${told}${attempts}`
}

/** The original cause; of a check the reason around it, which names the check. */
function toldCause(failure: Failure): Failure {
  const cause = originalCause(failure)
  if (cause.source !== 'check') return cause
  for (let at: Failure | undefined = failure; at; at = at.causes?.[0])
    if (at.code === 'check_failed' && at.causes?.[0] === cause) return at
  return cause
}

const TAIL_LINES = 5

/** The last lines that the failing step said; what went to stderr tells more than what went to stdout. */
export function tailLines(failure: Failure): string[] {
  const details = failure.details ?? {}
  const texts = ['stderr_tail', 'stdout_tail', 'tail', 'final_text'].map((key) => details[key])
  const text = texts.find((value): value is string => typeof value === 'string' && value.trim() !== '')
  if (text === undefined) return []
  return clean(text)
    .split('\n')
    .map((row) => row.trimEnd())
    .filter((row) => row !== '')
    .slice(-TAIL_LINES)
}

const SUMMARY_CHARS = 600

/** What a model wrote about the failures of the node where it began; facts are told before it. */
export function generatedSummary(failure: Failure, nodes: readonly FinalNode[]): string | undefined {
  const origin = originAttempt(failure)
  const path = origin === undefined ? undefined : parseAttemptId(origin)?.path
  const text = cleanLine(nodes.find((node) => node.path === path)?.summary ?? '')
  if (text === '') return undefined
  return text.length <= SUMMARY_CHARS ? text : `${text.slice(0, SUMMARY_CHARS - 1)}…`
}
