// Owns: the closing summary of a run (stderr, stays in the scrollback): result, the original cause as a sentence, the
// cause chain, what was spent, exactly three commands to run next, the trace. A success is one line. Pure.
import type { HookFailure, Totals } from '../core/event-values.ts'
import { originalCause, type Failure, type Result } from '../core/failure.ts'
import { parseAttemptId } from '../core/ids.ts'
import type { Budget } from '../core/pipeline.ts'
import { count, counted, elapsed, spend, tokens, usd } from './terminal/amounts.ts'
import { glyph, line, markOf, paint, piece, symbol, type Look } from './terminal/style.ts'
import { cleanLine, cut, padEnd, wrap } from './terminal/text.ts'
import { causeChain, failedSentence, generatedSummary, originAttempt, tailLines, type FinalNode } from './cause.ts'

/** What final.json says, and what the caller knows besides. */
export interface Closing {
  readonly runId: string
  /** Unique among the runs of the store. */
  readonly shortId: string
  readonly pipeline: string
  readonly result: Result
  readonly failure?: Failure | undefined
  readonly hookFailures: readonly HookFailure[]
  readonly durationMs: number
  readonly totals: Totals
  readonly nodes: readonly FinalNode[]
  readonly traceId: string
  readonly resumable: boolean
  readonly budget?: Budget | undefined
  /** ` --store DIR`, where a command needs it to find the run. */
  readonly storeOption?: string
  /** The pipeline file as the caller may name it; absent when a program passed the pipeline. */
  readonly pipelineFile?: string | undefined
}

const VERB = {
  success: 'succeeded',
  failure: 'failed',
  error: 'ended in error',
  timeout: 'timed out',
  cancellation: 'canceled',
  skip: 'was skipped',
} as const satisfies Record<Result, string>

/** Lines of the summary. */
export function renderClosing(run: Closing, look: Look): string[] {
  if (run.result === 'success' && run.hookFailures.length === 0) return [successLine(run, look)]
  const wide = look.columns >= 80
  const lines = [titleLine(run, look), '']
  if (run.failure) {
    lines.push(...sentenceLines(run, run.failure, look), '', ...chainLines(run, run.failure, look))
    const tail = wide ? tailLines(originalCause(run.failure)) : []
    if (tail.length > 0) lines.push('', ...labelled('last lines', tail, look))
    const summary = wide ? generatedSummary(run.failure, run.nodes) : undefined
    if (summary !== undefined)
      lines.push('', ...labelled('summary', wrap(`(generated) ${summary}`, look.columns - LABEL_COLUMNS - 4), look))
  }
  const hooks = hookLines(run, look)
  if (hooks.length > 0) lines.push(...(run.failure ? [''] : []), ...hooks)
  lines.push('', ...(wide ? sums(run, look) : shortSums(run, look)), '', ...commandLines(run, look))
  if (wide) lines.push('', paint([piece('   trace ', 'dim'), piece(run.traceId)], look))
  return [...lines, '']
}

function successLine(run: Closing, look: Look): string {
  const { totals } = run
  const retries = totals.retries > 0 ? `, ${counted(totals.retries, 'retry', 'retries')}` : ''
  const money = spend(totals.cost_usd, totals.cost_unpriced)
  const parts = [
    `${counted(totals.nodes, 'node')}, ${counted(totals.attempts, 'attempt')}${retries}`,
    ...(money === '' ? [] : [money]),
    run.shortId,
  ]
  return line(
    [
      piece(' '),
      piece(glyph('success', look), 'ok'),
      piece(` ${cleanLine(run.pipeline)} succeeded in ${elapsed(run.durationMs)}   ${parts.join('   ')}`),
    ],
    [],
    look,
  )
}

function titleLine(run: Closing, look: Look): string {
  const mark = run.result === 'success' ? 'failure' : markOf(run.result)
  const roles = run.result === 'cancellation' ? (['bold'] as const) : (['bad', 'bold'] as const)
  const wide = look.columns >= 80
  const verb = run.result === 'success' ? 'succeeded, but a hook failed,' : VERB[run.result]
  const text = `${glyph(mark, look)} ${cleanLine(run.pipeline)} ${verb} after ${elapsed(run.durationMs, !wide)}`
  const left = piece(text, ...roles)
  return line(
    [piece(' '), left, ...(wide ? [] : [piece('  '), piece(run.shortId, 'dim')])],
    wide ? [piece(run.runId, 'dim')] : [],
    look,
  )
}

function sentenceLines(run: Closing, failure: Failure, look: Look): string[] {
  return wrap(failedSentence(failure, run.nodes), look.columns - 4)
    .slice(0, 6)
    .map((text) => paint([piece('   '), piece(text, 'bold')], look))
}

function chainLines(run: Closing, failure: Failure, look: Look): string[] {
  const wide = look.columns >= 80
  const links = causeChain(failure, run.nodes)
  const corner = symbol('└ ', '`-', look)
  const lead = (depth: number): string => `   ${depth === 0 ? '' : `${'  '.repeat(depth - 1)}${corner}`}`
  const codeColumns = Math.max(...links.map(({ code }, depth) => code.length + (depth === 0 ? 0 : depth * 2))) + 2
  const whereColumns = Math.min(34, Math.max(...links.map(({ where }) => where.length))) + 2
  return links.map(({ code, where, message }, depth) => {
    const indent = depth === 0 ? 0 : depth * 2
    const original = depth === 0 ? [piece('   '), piece('original cause', 'bad')] : []
    const codePiece = depth === 0 ? piece(code, 'bad') : piece(code, 'dim')
    if (!wide) {
      const told = depth === 0 ? shortPlace(where) : message
      return line(
        [
          piece(lead(depth), 'dim'),
          codePiece,
          piece(`  ${told}`),
          ...(depth === 0 ? [piece('  '), piece('original cause', 'bad')] : []),
        ],
        [],
        look,
      )
    }
    const room = look.columns - 3 - codeColumns - whereColumns - (depth === 0 ? 18 : 1)
    return paint(
      [
        piece(lead(depth), 'dim'),
        codePiece,
        piece(' '.repeat(Math.max(1, codeColumns - indent - code.length))),
        piece(padEnd(where, whereColumns)),
        piece(cut(message, room, look.ascii)),
        ...original,
      ],
      look,
    )
  })
}

/** `impl@3.2` of `implement:monsters/impl@3.2`. */
const shortPlace = (where: string): string => where.split('/').at(-1) ?? where

function hookLines(run: Closing, look: Look): string[] {
  if (run.hookFailures.length === 0) return []
  const lines = run.hookFailures.slice(0, 5).map((hook) => {
    const cause = originalCause(hook.failure)
    return `${hook.node === undefined ? 'run' : hook.node}: hook ${hook.hook} ${cleanLine(hook.name)}  ${cause.code}: ${cleanLine(cause.message)}`
  })
  const more = run.hookFailures.length - lines.length
  const title = run.hookFailures.length === 1 ? 'hook failed' : 'hooks failed'
  return labelled(title, more > 0 ? [...lines, `and ${more} more`] : lines, look)
}

const LABEL_COLUMNS = 16

function labelled(label: string, texts: readonly string[], look: Look): string[] {
  return texts.map((text, index) =>
    line([piece('   '), piece(padEnd(index === 0 ? label : '', LABEL_COLUMNS), 'dim'), piece(text)], [], look),
  )
}

function nodeCounts(nodes: readonly FinalNode[]): string {
  const top = nodes.filter(({ path }) => !path.includes('/'))
  const of = (wanted: readonly Result[]): FinalNode[] =>
    top.filter(({ result }) => result !== undefined && wanted.includes(result))
  const skipped = of(['skip'])
  const names = skipped
    .slice(0, 4)
    .map(({ path }) => path)
    .join(', ')
  const parts = [
    `${of(['success']).length} ok`,
    [of(['failure', 'error', 'timeout']).length, 'failed'],
    [of(['cancellation']).length, 'canceled'],
    skipped.length > 0 ? `${skipped.length} skipped (${names}${skipped.length > 4 ? ', …' : ''})` : '',
  ].map((part) => (Array.isArray(part) ? (Number(part[0]) > 0 ? `${part[0]} ${part[1]}` : '') : part))
  return parts.filter((part) => part !== '').join(', ')
}

function branchCounts(nodes: readonly FinalNode[]): string {
  const of = (field: 'total' | 'failed' | 'skipped'): number =>
    nodes.reduce((sum, { children }) => sum + (children?.[field] ?? 0), 0)
  const [total, failed, skipped] = [of('total'), of('failed'), of('skipped')]
  if (total === 0) return ''
  const parts = [
    `${count(total - failed - skipped)} ok`,
    failed > 0 ? `${count(failed)} failed` : '',
    skipped > 0 ? `${count(skipped)} skipped` : '',
  ]
  return `      branches   ${parts.filter((part) => part !== '').join(', ')}`
}

function sums(run: Closing, look: Look): string[] {
  const { totals } = run
  const lines = [...labelled('nodes', [nodeCounts(run.nodes) + branchCounts(run.nodes)], look)]
  const retries = totals.retries > 0 ? `, of them ${counted(totals.retries, 'retry', 'retries')}` : ''
  lines.push(...labelled('attempts', [`${count(totals.attempts)}${retries}`], look))
  const money = spend(totals.cost_usd, totals.cost_unpriced).replace(
    'unpriced',
    totals.cost_unpriced === 1 ? 'attempt unpriced' : 'attempts unpriced',
  )
  const limit = run.budget?.usd
  const ofBudget = limit === undefined ? '' : `, ${Math.round((totals.cost_usd / limit) * 100)} % of ${usd(limit)}`
  const used = totals.tokens.input + totals.tokens.cache_read + totals.tokens.cache_write
  const tokenText =
    used + totals.tokens.output > 0 ? `      ${tokens(used)} in, ${tokens(totals.tokens.output)} out` : ''
  if (money !== '' || tokenText !== '')
    lines.push(...labelled('spend', [`${money === '' ? '$0.00' : money}${ofBudget}${tokenText}`], look))
  return lines
}

function shortSums(run: Closing, look: Look): string[] {
  const { totals } = run
  const retries = totals.retries > 0 ? `, ${counted(totals.retries, 'retry', 'retries')}` : ''
  const money = spend(totals.cost_usd, totals.cost_unpriced)
  return [
    line([piece(`   ${counted(totals.attempts, 'attempt')}${retries}${money === '' ? '' : `   ${money}`}`)], [], look),
  ]
}

/** Three commands: look at the run, look at the attempt, go on. */
export function nextCommands(run: Closing): { readonly label: string; readonly command: string }[] {
  const store = run.storeOption ?? ''
  const rejected = rejectedNode(run)
  const attempt =
    (run.failure && originAttempt(run.failure)) ??
    (rejected === undefined
      ? run.nodes.findLast(({ failure }) => failure?.attempt_id !== undefined)?.failure?.attempt_id
      : undefined)
  const node = attempt === undefined ? rejected : parseAttemptId(attempt)?.path
  const goOn = run.resumable
    ? { label: 'go on', command: `spanwright resume ${run.shortId}${store}` }
    : onlyHooksFailed(run) && run.pipelineFile !== undefined
      ? { label: 'run again', command: `spanwright run ${run.pipelineFile}${store}` }
      : {
          label: 'try again',
          command: `spanwright retry ${run.shortId}${node === undefined ? '' : ` ${node}`}${store}`,
        }
  const look = { label: 'what happened', command: `spanwright show ${run.shortId}${store}` }
  const second =
    attempt === undefined
      ? { label: 'every event', command: `spanwright events ${run.shortId}${store}` }
      : { label: 'the attempt', command: `spanwright attempt show ${run.shortId} ${attempt}${store}` }
  return [look, second, goOn]
}

/** The node that a person's answer, or the lack of one, made fail: no attempt did. */
function rejectedNode({ failure, nodes }: Closing): string | undefined {
  const cause = failure && originalCause(failure)
  if (!cause || cause.class !== 'human') return undefined
  return nodes.find((node) => node.failure?.code === cause.code && node.failure.message === cause.message)?.path
}

/** Then no node can be tried again. */
const onlyHooksFailed = (run: Closing): boolean =>
  run.result === 'success' || (run.failure?.code === 'hook_failed' && run.failure.attempt_id === undefined)

function commandLines(run: Closing, look: Look): string[] {
  return nextCommands(run).flatMap(({ label, command }) => {
    if (look.columns >= 80)
      return [paint([piece('   '), piece(padEnd(label, LABEL_COLUMNS), 'dim'), piece(command)], look)]
    if (command.length + 3 <= look.columns) return [`   ${command}`]
    const words = command.split(' ')
    const cutAt = words.findIndex((_, index) => words.slice(0, index + 1).join(' ').length > look.columns - 5)
    const at = cutAt <= 0 ? words.length : cutAt
    return [
      `   ${words.slice(0, at).join(' ')}${at < words.length ? ' \\' : ''}`,
      ...(at < words.length ? [`     ${words.slice(at).join(' ')}`] : []),
    ]
  })
}
