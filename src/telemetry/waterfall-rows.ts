// Owns: which rows a waterfall has: what is folded, what is always shown. Failures and retries never fold away, a wide
// fan-out is counts and its failed branches. Layout is waterfall.ts's business.
import { formatDuration } from '../core/duration.ts'
import { ATTR, SPAN_EVENT } from './names.ts'
import type { OpenSpanRecord, SpanRecord } from './span-record.ts'

export type WaterfallSpan = SpanRecord | OpenSpanRecord
export type State = 'success' | 'failure' | 'error' | 'timeout' | 'cancellation' | 'skip' | 'running'

export interface WaterfallRow {
  readonly depth: number
  readonly state: State
  readonly label: string
  /** Why, in code: shown in the colour of the state. */
  readonly note: string
  readonly startUs: number
  /** Undefined = still open. */
  readonly endUs: number | undefined
  /** Stretches in which something ran; the rest of the bar is waiting. Absent = a scope: drawn as a line. */
  readonly active: readonly { readonly startUs: number; readonly endUs?: number | undefined }[] | undefined
  /** A row of text without a bar (counts, "n more"). */
  readonly text: boolean
}

/** More branches than this are counted, not listed. */
const BRANCHES_LISTED = 8
const FAILED_LISTED = 8
/** Attempts of one visit, nodes of one scope. */
const ATTEMPTS_LISTED = 8
const NODES_LISTED = 200
/** Calls of models and tools of one agent; of more, those that failed or are open and the longest ones. */
const CALLS_LISTED = 20

export function toRows(spans: readonly WaterfallSpan[]): WaterfallRow[] {
  const tree = new Tree(spans)
  for (const root of tree.roots) tree.add(root, 0)
  return tree.rows
}

const stateOf = (span: WaterfallSpan): State =>
  span.endUs === undefined
    ? 'running'
    : ((span.attributes[ATTR.taskRunResult] ?? span.attributes[ATTR.pipelineResult] ?? 'success') as State)

const isQuiet = (state: State): boolean => state === 'success' || state === 'skip'
const codeOf = (span: WaterfallSpan): string =>
  String(span.attributes[ATTR.errorType] ?? span.attributes[ATTR.reasonCode] ?? '')
const numberOf = (span: WaterfallSpan, name: string): number => Number(span.attributes[name] ?? 0)

class Tree {
  readonly rows: WaterfallRow[] = []
  readonly roots: WaterfallSpan[]
  private readonly children = new Map<string, WaterfallSpan[]>()

  constructor(spans: readonly WaterfallSpan[]) {
    const shown = spans.filter((span) => span.subject !== 'marker')
    const known = new Set(shown.map((span) => span.spanId))
    this.roots = []
    for (const span of [...shown].sort((a, b) => a.startUs - b.startUs)) {
      if (span.parentSpanId === undefined || !known.has(span.parentSpanId)) this.roots.push(span)
      else {
        const siblings = this.children.get(span.parentSpanId)
        if (siblings) siblings.push(span)
        else this.children.set(span.parentSpanId, [span])
      }
    }
  }

  add(span: WaterfallSpan, depth: number): void {
    switch (span.subject) {
      case 'run':
        return this.addScope(span, depth, this.runLabel(span))
      case 'branch':
        return this.addBranch(span, depth)
      case 'node':
        return this.addNode(span, depth)
      case 'attempt':
        return this.addAttempt(span, depth)
      case 'check':
      case 'hook':
      case 'agent':
      case 'chat':
      case 'tool':
        return this.addStep(span, depth)
      case 'marker':
        return
    }
  }

  private below(span: WaterfallSpan): readonly WaterfallSpan[] {
    return this.children.get(span.spanId) ?? []
  }

  private runLabel(span: WaterfallSpan): string {
    const execution = numberOf(span, ATTR.execution)
    return `${String(span.attributes[ATTR.pipelineName] ?? span.name)}${execution > 1 ? `, execution ${execution}` : ''}`
  }

  private addScope(span: WaterfallSpan, depth: number, label: string): void {
    this.push(span, depth, { label, note: span.subject === 'run' ? '' : codeOf(span) })
    this.addNodes(this.below(span), depth + 1)
  }

  private addNodes(spans: readonly WaterfallSpan[], depth: number): void {
    const listed =
      spans.length <= NODES_LISTED
        ? spans
        : spans.filter((span, i) => i < NODES_LISTED / 2 || !isQuiet(stateOf(span))).slice(0, NODES_LISTED)
    for (const span of listed) this.add(span, depth)
    if (listed.length < spans.length) this.pushText(depth, `and ${spans.length - listed.length} more`, spans.at(-1)!)
  }

  /** A branch that ended well is one row; the others are opened. */
  private addBranch(span: WaterfallSpan, depth: number): void {
    const state = stateOf(span)
    const retries = numberOf(span, ATTR.rollupRetries)
    const label = String(span.attributes[ATTR.branchKey] ?? span.name)
    if (!isQuiet(state)) return this.addScope(span, depth, label)
    this.push(span, depth, { label, note: retries > 0 ? retriesText(retries) : '' })
  }

  private addNode(span: WaterfallSpan, depth: number): void {
    const visit = numberOf(span, ATTR.nodeVisit)
    const below = this.below(span)
    const attempts = below.filter((child) => child.subject === 'attempt')
    const retries =
      numberOf(span, ATTR.retryCount) || span.events.filter((event) => event.name === SPAN_EVENT.retryScheduled).length
    const note = [codeOf(span), retries > 0 ? retriesText(retries) : ''].filter(Boolean).join(', ')
    this.push(span, depth, {
      label: visit > 1 ? `${span.name} @${visit}` : span.name,
      note,
      active: attempts.length > 0 ? attempts.map(({ startUs, endUs }) => ({ startUs, endUs })) : undefined,
    })
    const branches = below.filter((child) => child.subject === 'branch')
    if (branches.length > 0) this.addBranches(branches, depth + 1)
    this.addAttempts(attempts, depth + 1)
    this.addNodes(
      below.filter((child) => child.subject === 'node' || child.subject === 'check' || child.subject === 'hook'),
      depth + 1,
    )
  }

  private addBranches(branches: readonly WaterfallSpan[], depth: number): void {
    if (branches.length <= BRANCHES_LISTED) {
      for (const branch of branches) this.add(branch, depth)
      return
    }
    const counts = new Map<State, number>()
    for (const branch of branches) counts.set(stateOf(branch), (counts.get(stateOf(branch)) ?? 0) + 1)
    const text = COUNTED.flatMap(([state, word]) => (counts.has(state) ? [`${counts.get(state)} ${word}`] : [])).join(
      ', ',
    )
    this.pushText(depth, `${branches.length} branches: ${text}`, branches[0]!)
    const failed = branches.filter((branch) => ['failure', 'error', 'timeout'].includes(stateOf(branch)))
    for (const branch of failed.slice(0, FAILED_LISTED)) this.add(branch, depth)
    if (failed.length > FAILED_LISTED)
      this.pushText(depth, `and ${failed.length - FAILED_LISTED} more that failed`, failed.at(-1)!)
  }

  /** One attempt that ended like its node says nothing new; several are listed, the first and last ones. */
  private addAttempts(attempts: readonly WaterfallSpan[], depth: number): void {
    const head = attempts.length <= ATTEMPTS_LISTED ? attempts : attempts.slice(0, ATTEMPTS_LISTED / 2)
    for (const attempt of head) this.addAttemptOrSteps(attempt, depth, attempts.length > 1)
    if (head.length === attempts.length) return
    const tail = attempts.slice(-ATTEMPTS_LISTED / 2)
    this.pushText(depth, `${attempts.length - head.length - tail.length} more attempts`, tail[0]!)
    for (const attempt of tail) this.addAttemptOrSteps(attempt, depth, true)
  }

  private addAttemptOrSteps(attempt: WaterfallSpan, depth: number, several: boolean): void {
    if (several) this.addAttempt(attempt, depth)
    else for (const step of this.below(attempt)) this.addStep(step, depth)
  }

  private addAttempt(span: WaterfallSpan, depth: number): void {
    const delay = numberOf(span, ATTR.retryDelayMs)
    const note = [codeOf(span), delay > 0 ? `after ${formatDuration(delay)}` : ''].filter(Boolean).join(', ')
    this.push(span, depth, {
      label: `attempt ${numberOf(span, ATTR.attemptNumber)}`,
      note,
      active: [span],
    })
    for (const step of this.below(span)) this.addStep(step, depth + 1)
  }

  /** Checks and hooks are told about when they did not pass or still run; an agent when it is known what it did. */
  private addStep(span: WaterfallSpan, depth: number): void {
    if (span.subject === 'agent') return this.addAgent(span, depth)
    if (span.subject === 'chat' || span.subject === 'tool') return this.addCall(span, depth)
    if (stateOf(span) === 'success') return
    const optional = span.attributes[ATTR.checkRequired] === false ? 'optional' : ''
    const label = span.subject === 'hook' ? `${span.name}: ${String(span.attributes[ATTR.hookName] ?? '')}` : span.name
    this.push(span, depth, { label, note: [codeOf(span), optional].filter(Boolean).join(', '), active: [span] })
  }

  private addAgent(span: WaterfallSpan, depth: number): void {
    const calls = this.below(span)
    if (calls.length === 0) return
    const { [ATTR.genAiAgentName]: agent, [ATTR.genAiRequestModel]: model } = span.attributes
    const label = [agent, model].filter((part) => part !== undefined).join(' ')
    this.push(span, depth, { label, note: codeOf(span), active: [span] })
    const listed = listedCalls(calls)
    for (const call of calls) if (listed.has(call)) this.addCall(call, depth + 1)
    if (listed.size < calls.length)
      this.pushText(depth + 1, leftOutText(calls.filter((call) => !listed.has(call))), calls.at(-1)!)
  }

  private addCall(span: WaterfallSpan, depth: number): void {
    const label = span.subject === 'tool' ? `tool ${String(span.attributes[ATTR.genAiToolName] ?? '')}` : span.name
    this.push(span, depth, { label, note: codeOf(span), active: [span] })
  }

  private push(
    span: WaterfallSpan,
    depth: number,
    row: Pick<WaterfallRow, 'label' | 'note'> & Partial<Pick<WaterfallRow, 'active'>>,
  ): void {
    const { startUs, endUs } = span
    this.rows.push({ depth, state: stateOf(span), startUs, endUs, text: false, active: undefined, ...row })
  }

  private pushText(depth: number, label: string, near: WaterfallSpan): void {
    this.rows.push({
      depth,
      state: 'skip',
      label,
      note: '',
      startUs: near.startUs,
      endUs: near.endUs,
      active: undefined,
      text: true,
    })
  }
}

const COUNTED: readonly (readonly [State, string])[] = [
  ['success', 'ok'],
  ['failure', 'failed'],
  ['error', 'in error'],
  ['timeout', 'timed out'],
  ['running', 'running'],
  ['cancellation', 'canceled'],
  ['skip', 'skipped'],
]
const retriesText = (count: number): string => (count === 1 ? '1 retry' : `${count} retries`)

/** All of a few; of many those that failed or are open, and the longest of the others. */
function listedCalls(calls: readonly WaterfallSpan[]): ReadonlySet<WaterfallSpan> {
  if (calls.length <= CALLS_LISTED) return new Set(calls)
  const weight = (span: WaterfallSpan): number =>
    span.endUs === undefined || !isQuiet(stateOf(span)) ? Number.POSITIVE_INFINITY : span.endUs - span.startUs
  const order = (a: WaterfallSpan, b: WaterfallSpan): number =>
    weight(b) > weight(a) ? 1 : weight(b) < weight(a) ? -1 : 0
  return new Set([...calls].sort(order).slice(0, CALLS_LISTED))
}

function leftOutText(calls: readonly WaterfallSpan[]): string {
  const failed = calls.filter((call) => !isQuiet(stateOf(call))).length
  const chats = calls.filter((call) => call.subject === 'chat').length
  const parts = [
    chats > 0 ? `${chats} model call${chats === 1 ? '' : 's'}` : '',
    calls.length > chats ? `${calls.length - chats} tool call${calls.length - chats === 1 ? '' : 's'}` : '',
  ].filter(Boolean)
  return `and ${calls.length} more: ${parts.join(', ')}${failed > 0 ? `, ${failed} of them failed` : ''}`
}
