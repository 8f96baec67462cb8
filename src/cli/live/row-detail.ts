// Owns: what stands beside the name of a node: what it does, how long it still waits, why it failed. And what a row of
// the tree is. Pure.
import { count, counted, countdown, elapsed, timeOfDay } from '../terminal/amounts.ts'
import { glyph, piece, roleOf, type Look, type Mark, type Piece } from '../terminal/style.ts'
import { cleanLine } from '../terminal/text.ts'
import { shortMessage } from '../cause.ts'
import { agentName, questionLines, tokensUsed } from '../agent-words.ts'
import { activityOf } from './fold-agent.ts'
import { inputOf } from './fold-spend.ts'
import { LISTED_LANES, type AgentView, type AttemptView, type FanoutView, type NodeView } from './run-view.ts'

/** One line of the tree. `name`d rows are nodes and branches; the others explain the row above. */
export interface TreeRow {
  readonly depth: number
  readonly mark?: Mark
  readonly name?: string
  /** `@1.2  2/3`: which attempt. */
  readonly tag?: string
  readonly detail: readonly Piece[]
  readonly timeMs?: number | undefined
  readonly usd?: number
  readonly unpriced?: number
  /** Rows that can have the focus. */
  readonly path?: string
  /** Given up first when the terminal is small: `output` lines, then what has `ended`, then what is `queued`. */
  readonly weight: 'output' | 'ended' | 'queued' | 'open'
  /** A bar of so many ended (ok, failed), running and all branches. */
  readonly bar?: { readonly ok: number; readonly failed: number; readonly running: number; readonly total: number }
}

export interface Drawing {
  readonly look: Look
  readonly now: number
  /** Turns the spinner (epoch ms); without it the spinner stands. */
  readonly spin?: number | undefined
  /** Queued nodes of the scope that is drawn which can no longer start, with what is in their way. */
  readonly blocked?: ReadonlyMap<NodeView, NodeView>
}

const OPEN: readonly Mark[] = ['running', 'retrying', 'waiting', 'gate']
export const isOpen = (mark: Mark): boolean => OPEN.includes(mark)
export const BAD: readonly Mark[] = ['failure', 'error', 'timeout', 'breaker']

/** Letter that answers a choice: its first one that is not taken. */
export function choiceKeys(choices: readonly string[]): Map<string, string> {
  const keys = new Map<string, string>()
  for (const choice of choices) {
    const letter = [...choice.toLowerCase()].find((char) => /[a-z0-9]/.test(char) && char !== 'n' && !keys.has(char))
    if (letter !== undefined) keys.set(letter, choice)
  }
  return keys
}

/** What an agent asks, in lines above the choices. */
export const questionRows = (node: NodeView, depth: number, look: Look): TreeRow[] =>
  questionLines(node.gate!.questions, look, look.columns - 2 * depth - 2).map((text) => ({
    depth,
    detail: [piece(text)],
    weight: 'open',
  }))

export function gatePieces(node: NodeView): Piece[] {
  const gate = node.gate!
  const pieces: Piece[] = gate.questions.length > 0 ? [] : [piece(cleanLine(gate.question), 'bold'), piece('  ')]
  for (const [key, choice] of choiceKeys(gate.choices))
    pieces.push(piece(' '), piece(`[${key}]`, 'live'), piece(` ${choice} `))
  return [...pieces, piece(' '), piece('[n]', 'live'), piece(' answer with a comment')]
}

export function detailOf(node: NodeView, { look, now, blocked }: Drawing): Piece[] {
  const { attempt, retry, gate } = node
  if (node.mark === 'queued') return queuedDetail(node, blocked?.get(node))
  if (node.mark === 'skipped')
    return [
      piece(
        node.failure?.code === 'when_false'
          ? 'not needed: its `when` is false'
          : cleanLine(node.failure?.message ?? 'skipped'),
        'dim',
      ),
    ]
  if (retry) {
    const wait =
      retry.dueAt > now
        ? [piece('next attempt '), piece(`in ${countdown(retry.dueAt - now)}`, 'warn')]
        : [piece('next attempt is due')]
    return [...wait, piece(` (backoff ${elapsed(retry.delayMs)})`)]
  }
  if (gate) {
    const due =
      gate.dueAt === undefined
        ? ''
        : gate.default === undefined
          ? `; expires in ${elapsed(gate.dueAt - now, true)}`
          : `; becomes "${gate.default}" in ${elapsed(gate.dueAt - now, true)}`
    return [piece(`waits for you${due}`, 'warn')]
  }
  if (attempt?.waitingUntil !== undefined) {
    return [
      piece(
        `${LIMITS_WAITED_FOR[attempt.waitingFor ?? ''] ?? 'rate limit'}; goes on at ${timeOfDay(attempt.waitingUntil)}, `,
        'dim',
      ),
      piece(`in ${countdown(attempt.waitingUntil - now)}`, 'bold'),
    ]
  }
  if (node.mark === 'waiting' && node.dueAt !== undefined) {
    return [piece(`waits until ${timeOfDay(node.dueAt)}, `, 'dim'), piece(`in ${countdown(node.dueAt - now)}`, 'bold')]
  }
  if (node.breaker && node.result !== undefined) {
    return [piece(`${glyph('breaker', look)} breaker open: same failure ${node.breaker.count} times`, 'bad')]
  }
  if (node.fanout && node.result === undefined) return fanoutDetail(node, node.fanout, look)
  if (BAD.includes(node.mark) && node.failure)
    return [piece(node.failure.code, 'bad'), piece(`: ${shortMessage(node.failure)}`)]
  if (node.mark === 'running' && attempt && node.agent?.name !== undefined)
    return agentDetail(node, attempt, node.agent, look)
  return [piece(plainDetail(node), 'dim')]
}

const LIMITS_WAITED_FOR: { readonly [code: string]: string } = { provider_unavailable: 'provider is down' }
const AGENT_COLUMNS = 26

/** Who, what it does now, how far it is, what it has used. What is told last is cut off first. */
function agentDetail(node: NodeView, attempt: AttemptView, agent: AgentView, look: Look): Piece[] {
  const turn = attempt.turn ?? attempt.turns
  const max = node.def?.kind === 'agent' ? node.def.agent.max_turns : undefined
  const spent = attempt.spent
  const used = tokensUsed(
    { input: inputOf(spent), cacheRead: spent.tokens.cache_read, output: spent.tokens.output },
    look,
  )
  const pieces: Piece[] = [piece(agentName(agent, look, AGENT_COLUMNS), 'dim')]
  if (agent.chosen !== undefined) pieces.push(piece(` (${agent.chosen})`, 'dim'))
  const activity = activityOf(attempt)
  if (activity !== undefined) pieces.push(piece('  '), piece(cleanLine(activity), 'live'))
  const rest = [
    turn > 0 ? `turn ${turn}${max === undefined ? '' : ` of ${max}`}` : '',
    cleanLine(node.note ?? ''),
    used,
  ].filter((part) => part !== '')
  return rest.length === 0 ? pieces : [...pieces, piece(`  ${rest.join('  ')}`, 'dim')]
}

function plainDetail(node: NodeView): string {
  const parts: string[] = []
  if (node.visit > 1) parts.push(`${node.visit} visits`)
  if (node.result !== undefined && node.retryCount > 0) parts.push(counted(node.retryCount, 'retry', 'retries'))
  if (node.label !== undefined && node.note === undefined) parts.push(node.label)
  if (node.attempt?.turn !== undefined) parts.push(`turn ${node.attempt.turn}`)
  if (node.note !== undefined) parts.push(node.note)
  if (node.fanout) parts.push(counted(node.fanout.total ?? 0, 'branch', 'branches'))
  return cleanLine(parts.join('; '))
}

function queuedDetail(node: NodeView, blocker: NodeView | undefined): Piece[] {
  if (!blocker) return []
  const why =
    blocker.fanout?.total !== undefined && blocker.result === undefined
      ? `: ${blocker.id} needs all ${count(blocker.fanout.total)} branches`
      : `: ${blocker.id} failed`
  return [piece(`will be skipped${node.def?.needs.includes(blocker.id) === true ? why : ''}`, 'dim')]
}

function fanoutDetail(node: NodeView, fanout: FanoutView, look: Look): Piece[] {
  const def = node.def?.kind === 'fanout' ? node.def.fanout : undefined
  const join = def === undefined ? '' : `, join ${joinText(def.join)}`
  const bound = def?.max_parallel === undefined ? '' : `, ${def.max_parallel} at once`
  const text =
    fanout.total === undefined
      ? 'branches are being listed'
      : `${counted(fanout.total, 'branch', 'branches')}${join}${bound}`
  if (isWide(fanout)) return [piece(text)]
  const parts: [Mark, number][] = [
    ['success', fanout.ok],
    ['failure', fanout.failed],
    ['waiting', fanout.waiting],
  ]
  const counts = parts.filter(([, value]) => value > 0)
  return [
    piece(text),
    ...counts.flatMap(([mark, value]) => [piece('   '), piece(`${glyph(mark, look)} ${value}`, roleOf(mark))]),
  ]
}

function joinText(join: { readonly kind: string; readonly count?: number; readonly share?: number }): string {
  if (join.kind === 'at_least') return `at least ${join.count}`
  return join.kind === 'quorum' ? `quorum ${join.share}` : join.kind
}

export const isWide = (fanout: FanoutView): boolean => (fanout.total ?? fanout.started) > LISTED_LANES
