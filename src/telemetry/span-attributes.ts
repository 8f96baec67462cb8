// Owns: parts of events → span attributes, bounded. Never prompts, environment or command lines: only the fields named
// here leave the journal.
import { basename } from 'node:path/posix'
import type { Children, Rollup } from '../core/event-values.ts'
import { originalCause, type Failure, type Result } from '../core/failure.ts'
import { LIMITS } from '../core/limits.ts'
import type { Cost, ProcessFacts, Usage } from '../core/outcome.ts'
import { ATTR } from './names.ts'
import type { Attributes, SpanRecord } from './span-record.ts'

const NAME_CHARS = 256

/** Cuts text that comes from pipelines or steps; `…` shows the cut. */
export const bounded = (text: string, limit: number = NAME_CHARS): string =>
  text.length <= limit ? text : `${text.slice(0, limit - 1)}…`

/** Whether a result is a span with status ERROR. A cancellation and a skip are not. */
export const isFailed = (result: Result): boolean => result === 'failure' || result === 'error' || result === 'timeout'

export function failureAttributes(failure: Failure): Attributes {
  return {
    [ATTR.errorType]: failure.code,
    [ATTR.failureCode]: failure.code,
    [ATTR.failureClass]: failure.class,
    [ATTR.failureSource]: failure.source,
    [ATTR.failureMessage]: bounded(failure.message, LIMITS.messageChars),
    [ATTR.failureSignature]: bounded(failure.signature),
    ...causeAttributes(failure),
  }
}

/** What it began with, where the failure only passes on another one: so that every level of a trace tells the cause. */
function causeAttributes(failure: Failure): Attributes {
  const cause = originalCause(failure)
  if (cause === failure) return {}
  return {
    [ATTR.causeCode]: cause.code,
    [ATTR.causeMessage]: bounded(cause.message, LIMITS.messageChars),
  }
}

/** Status text: the reason, and its original cause where the reason does not tell it already. */
function statusText(failure: Failure): string {
  const cause = originalCause(failure).message
  const text = failure.message.includes(cause) ? failure.message : `${failure.message}: ${cause}`
  return bounded(text, LIMITS.messageChars)
}

/** Status and reason attributes of a span that ended with `result`. */
export function endingOf(
  result: Result,
  failure: Failure | undefined,
): { status: SpanRecord['status']; attributes: Attributes } {
  if (isFailed(result)) {
    return {
      status: { code: 'ERROR', message: failure ? statusText(failure) : result },
      attributes: failure ? failureAttributes(failure) : {},
    }
  }
  const attributes: Attributes = {}
  if (failure) {
    attributes[ATTR.reasonCode] = failure.code
    attributes[ATTR.reasonMessage] = bounded(failure.message, LIMITS.messageChars)
  }
  return { status: { code: 'UNSET' }, attributes }
}

export function childrenAttributes(children: Children): Attributes {
  return {
    [ATTR.childrenTotal]: children.total,
    [ATTR.childrenFailed]: children.failed,
    [ATTR.childrenRetried]: children.retried,
    [ATTR.childrenSkipped]: children.skipped,
  }
}

export function rollupAttributes(rollup: Pick<Rollup, 'attempts' | 'retries' | 'tokens' | 'cost_usd'>): Attributes {
  return {
    [ATTR.rollupAttempts]: rollup.attempts,
    [ATTR.rollupRetries]: rollup.retries,
    [ATTR.rollupTokensInput]: rollup.tokens.input + rollup.tokens.cache_read + rollup.tokens.cache_write,
    [ATTR.rollupTokensOutput]: rollup.tokens.output,
    [ATTR.rollupCostUsd]: rollup.cost_usd,
  }
}

/** What was used, of an attempt or of one request; `input_tokens` includes the cache, `output_tokens` reasoning. */
export function tokenAttributes(usage: Usage): Attributes {
  return {
    [ATTR.genAiInputTokens]: usage.input + usage.cache_read + usage.cache_write,
    [ATTR.genAiOutputTokens]: usage.output,
    [ATTR.genAiCacheReadTokens]: usage.cache_read,
    [ATTR.genAiCacheCreationTokens]: usage.cache_write,
    ...(usage.reasoning !== undefined && { [ATTR.genAiReasoningTokens]: usage.reasoning }),
  }
}

/** Usage and cost of an attempt; on attempt spans only, so that sums over attempts count nothing twice. */
export function usageAttributes(usage: Usage | undefined, cost: Cost | undefined): Attributes {
  const attributes: Attributes = {}
  if (usage) {
    Object.assign(attributes, tokenAttributes(usage))
    if (usage.model !== undefined) attributes[ATTR.genAiRequestModel] = bounded(usage.model)
    if (usage.turns !== undefined) attributes[ATTR.turns] = usage.turns
  }
  if (cost) {
    if (cost.usd !== null) attributes[ATTR.costUsd] = cost.usd
    attributes[ATTR.costSource] = cost.source
  }
  return attributes
}

export function processAttributes(facts: ProcessFacts | undefined): Attributes {
  const attributes: Attributes = {}
  if (facts?.executable !== undefined) attributes[ATTR.processExecutableName] = bounded(basename(facts.executable))
  if (facts?.pid !== undefined) attributes[ATTR.processPid] = facts.pid
  if (facts?.exit_code !== undefined) attributes[ATTR.processExitCode] = facts.exit_code
  if (facts?.signal !== undefined) attributes[ATTR.processSignal] = facts.signal
  return attributes
}
