// Owns: GitHub Actions: failures as annotations, the summary of the run as Markdown on the job's page.
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
import { appendFileSync } from 'node:fs'
import type { Totals } from '../core/event-values.ts'
import { originalCause } from '../core/failure.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { causeChain, failedSentence, originAttempt, tailLines } from './cause.ts'
import { nextCommands, type Closing } from './closing.ts'
import type { Output } from './output.ts'
import { counted, elapsed, tokens, usd } from './terminal/amounts.ts'
import { clean, cleanLine } from './terminal/text.ts'

const ANNOUNCED_NODES = 10

/** Annotations go to stderr like all diagnostics: the runner reads workflow commands from both streams. */
export function reportToGithub(run: Closing, pipeline: Pipeline, output: Output): void {
  const file = process.env['GITHUB_STEP_SUMMARY']
  if (file) {
    try {
      appendFileSync(file, `${summaryMarkdown(run, pipeline)}\n`)
    } catch (error) {
      output.say(
        `spanwright: the job summary could not be written: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
  output.say(...annotations(run))
}

/** `::error title=…::…` lines, escaped, so that nothing a step said can be a workflow command. */
export function annotations(run: Closing): string[] {
  const told: string[] = []
  if (run.failure) told.push(annotation(`${run.pipeline} ${run.result}`, failedSentence(run.failure, run.nodes)))
  for (const hook of run.hookFailures)
    told.push(annotation(`hook ${hook.hook} failed`, `${hook.node ?? 'run'}: ${originalCause(hook.failure).message}`))
  const origin = run.failure && originAttempt(run.failure)
  const others = run.nodes.filter(
    ({ failure, result, kind }) =>
      failure !== undefined &&
      result !== 'skip' &&
      result !== 'cancellation' &&
      kind !== 'fanout' &&
      originAttempt(failure) !== origin,
  )
  for (const { path, failure } of others.slice(0, ANNOUNCED_NODES))
    told.push(annotation(`${path} ${failure!.code}`, originalCause(failure!).message))
  return told
}

const escapeData = (text: string): string =>
  clean(text).replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const escapeProperty = (text: string): string => escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
const annotation = (title: string, message: string): string =>
  `::error title=${escapeProperty(title)}::${escapeData(message)}`

/** Text in Markdown: nothing in it is markup. */
const plain = (text: string): string => cleanLine(text).replace(/[\\`*_{}[\]<>()#+!|~]/g, '\\$&')
const code = (text: string): string => `\`${cleanLine(text).replaceAll('`', "'").replaceAll('|', '\\|')}\``

export function summaryMarkdown(run: Closing, pipeline: Pipeline): string {
  const mark = run.result === 'success' && run.hookFailures.length === 0 ? '✅' : '❌'
  const { totals } = run
  const money = spendSentence(totals)
  const lines = [
    `### ${mark} ${plain(run.pipeline)}: ${run.result} in ${elapsed(run.durationMs)}`,
    '',
    `${counted(totals.nodes, 'node')}, ${counted(totals.attempts, 'attempt')}, ${counted(totals.retries, 'retry', 'retries')}${money === '' ? '' : `, ${money}`}. Run ${code(run.runId)}, trace ${code(run.traceId)}.`,
  ]
  if (pipeline.description !== undefined) lines.push('', plain(pipeline.description))
  if (run.failure) {
    lines.push(
      '',
      `**${plain(failedSentence(run.failure, run.nodes))}**`,
      '',
      '| code | where | message |',
      '|---|---|---|',
    )
    for (const link of causeChain(run.failure, run.nodes))
      lines.push(`| ${code(link.code)} | ${code(link.where)} | ${plain(link.message)} |`)
    const tail = tailLines(originalCause(run.failure))
    if (tail.length > 0) lines.push('', fenced(tail))
    lines.push('', ...nextCommands(run).map(({ label, command }) => `- ${label}: ${code(command)}`))
  }
  for (const hook of run.hookFailures)
    lines.push(
      '',
      `Hook ${code(`${hook.hook} ${hook.name}`)} of ${plain(hook.node ?? 'the run')} failed: ${plain(originalCause(hook.failure).message)}`,
    )
  return `${lines.join('\n')}\n`
}

/** `$1.20, 48k tokens in, 2k out; not counted: 2 attempts without a known price`; empty when nothing was spent. */
function spendSentence({ tokens: used, cost_usd: cost, cost_unpriced: unpriced }: Totals): string {
  const input = used.input + used.cache_read + used.cache_write
  const parts = [
    cost > 0 || (unpriced === 0 && input > 0) ? usd(cost) : '',
    input + used.output > 0 ? `${tokens(input)} tokens in, ${tokens(used.output)} out` : '',
  ].filter((part) => part !== '')
  if (unpriced === 0) return parts.join(', ')
  const known = parts.length > 0 ? `${parts.join(', ')}; ` : ''
  return `${known}${cost > 0 ? 'not counted' : 'cost unknown'}: ${counted(unpriced, 'attempt')} without a known price`
}

/** A fence longer than any run of backticks inside. */
function fenced(lines: readonly string[]): string {
  const longest = Math.max(2, ...lines.flatMap((line) => [...line.matchAll(/`+/g)].map(([ticks]) => ticks.length)))
  const fence = '`'.repeat(longest + 1)
  return [`${fence}text`, ...lines, fence].join('\n')
}
