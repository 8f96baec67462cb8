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
  const origin = reasons[0]?.attempt_id
  const links: ChainLink[] = []
  for (const [depth, reason] of reasons.entries()) {
    const where = depth === 0 && origin !== undefined ? origin : (placeOf(reason, nodes, origin) ?? reason.attempt_id ?? 'run')
    const link = { code: reason.code, where: cleanLine(where), message: cleanLine(reason.message) }
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

/** `Branch monsters failed: impl: Turn limit reached (max_turns=25), in all 6 attempts`. */
export function failedSentence(failure: Failure, nodes: readonly FinalNode[]): string {
  const cause = originalCause(failure)
  const message = cleanLine(cause.message)
  const parsed = cause.attempt_id === undefined ? undefined : parseAttemptId(cause.attempt_id)
  if (!parsed) return message
  const segments = parsed.path.split('/')
  const id = segments.at(-1) ?? parsed.path
  const branch = /:(.+)$/.exec(segments.at(-2) ?? '')?.[1]
  const node = nodes.find(({ path }) => path === parsed.path)
  const attempts = node && node.attempts > 1 ? `, in all ${node.attempts} attempts` : ''
  const sentence = message.replace(/\.$/, '')
  return branch === undefined ? `${id} failed: ${sentence}${attempts}` : `Branch ${branch} failed: ${id}: ${sentence}${attempts}`
}

const TAIL_LINES = 5

/** The last lines that the failing step said; what went to stderr tells more than what went to stdout. */
export function tailLines(failure: Failure): string[] {
  const details = failure.details ?? {}
  const texts = ['stderr_tail', 'stdout_tail', 'tail'].map((key) => details[key])
  const text = texts.find((value): value is string => typeof value === 'string' && value.trim() !== '')
  if (text === undefined) return []
  return clean(text).split('\n').map((row) => row.trimEnd()).filter((row) => row !== '').slice(-TAIL_LINES)
}
