// Owns: what an agent did, as spans: the agent itself, its calls of models, its tools. Uniform for all clients, because
// it is made of the journal; what a client sends by itself is beside it.
// Must not: put prompts, answers or tool input into a span unless the journal has them (`--capture content`).
import type { EventOf } from '../core/events.ts'
import { FAILURE_CODES, resultOf, type Failure, type FailureCode, type FailureReport } from '../core/failure.ts'
import { completeFailure } from '../core/failures.ts'
import { LIMITS } from '../core/limits.ts'
import type { Session, Usage } from '../core/outcome.ts'
import { fromTimestamp } from '../core/time.ts'
import { inputMessages, outputMessages } from './captured-content.ts'
import { providerOf } from './model-provider.ts'
import { ATTR, SPAN_EVENT, spanName } from './names.ts'
import { idOf } from './run-rows.ts'
import type { OpenSpan, RunSpans } from './run-spans.ts'
import type { Row } from './span-rows.ts'
import { bounded, tokenAttributes } from './span-attributes.ts'
import type { Attributes } from './span-record.ts'
import { countSpend } from './tally.ts'

/** The name of a model that nobody told. */
const UNKNOWN_MODEL = 'unknown'

/** The span whose context the agent got: without it the agent's own spans would hang in the air. */
export function openAgent(spans: RunSpans, attempt: OpenSpan, event: EventOf<'attempt.started'>, atUs: number): void {
  if (event.agent_span_id === undefined) return
  const agent = event.agent === undefined ? idOf(event.node) : bounded(event.agent)
  attempt.agentSpanId = event.agent_span_id
  spans.open({
    subject: 'agent',
    spanId: event.agent_span_id,
    parentSpanId: event.span_id,
    name: spanName.agent(agent),
    kind: 'CLIENT',
    atUs,
    attributes: {
      [ATTR.genAiOperationName]: 'invoke_agent',
      [ATTR.genAiAgentName]: agent,
      ...modelAttributes(event.model),
      [ATTR.attemptId]: event.attempt_id,
    },
  })
}

/** What an agent says of itself while it works. */
export function agentTold(
  spans: RunSpans,
  attempt: OpenSpan,
  told: { readonly session?: Session | undefined; readonly usage?: Usage | undefined },
): void {
  const agent = spans.agentOf(attempt)
  if (!agent) return
  if (told.session) agent.attributes[ATTR.genAiConversationId] = bounded(told.session.id)
  if (agent.attributes[ATTR.genAiRequestModel] === undefined)
    Object.assign(agent.attributes, modelAttributes(told.usage?.model))
}

/** Checks follow: the agent's own work ends here, whatever they will say. */
export const agentActed = (spans: RunSpans, event: EventOf<'attempt.acted'>, atUs: number): void => {
  const agent = spans.ofAttempt(event.attempt_id)?.agentSpanId
  if (agent !== undefined) spans.close(agent, { atUs, result: event.skipped === true ? 'skip' : 'success' })
}

/** One event is the whole span. */
export const modelCalled: Row<'model.called'> = (spans, event, atUs) => {
  const agent = agentSpan(spans, event)
  if (!agent) return
  const model = bounded(event.model ?? text(agent.attributes[ATTR.genAiRequestModel]) ?? UNKNOWN_MODEL)
  const startUs = within(event.started_at, agent.opening.atUs, atUs)
  const call = spans.open({
    subject: 'chat',
    spanId: event.span_id,
    parentSpanId: agent.opening.spanId,
    name: spanName.chat(model),
    kind: 'CLIENT',
    atUs: startUs,
    attributes: {
      [ATTR.genAiOperationName]: 'chat',
      ...modelAttributes(model),
      ...answerAttributes(event),
      ...ofAgent(agent, event.attempt_id),
      ...contentOfCall(event),
    },
  })
  if (!call) return
  const failure = event.error && failureOf(event.error.code, { message: event.error.message, source: 'provider' })
  spans.close(event.span_id, {
    atUs: within(event.ended_at, startUs, atUs),
    result: failure ? resultOf(failure.code) : 'success',
    failure,
  })
}

function answerAttributes(event: EventOf<'model.called'>): Attributes {
  const attributes: Attributes = { ...(event.usage && tokenAttributes(event.usage)) }
  if (event.model !== undefined) attributes[ATTR.genAiResponseModel] = bounded(event.model)
  if (event.response_id !== undefined) attributes[ATTR.genAiResponseId] = bounded(event.response_id)
  if (event.finish_reason !== undefined) attributes[ATTR.genAiFinishReasons] = [bounded(event.finish_reason)]
  if (event.cost?.usd != null) attributes[ATTR.requestCostUsd] = event.cost.usd
  return attributes
}

function contentOfCall({ input, output, finish_reason: reason }: EventOf<'model.called'>): Attributes {
  return {
    ...(input !== undefined && { [ATTR.genAiInputMessages]: inputMessages(input) }),
    ...(output !== undefined && { [ATTR.genAiOutputMessages]: outputMessages(output, reason) }),
  }
}

export const toolStarted: Row<'tool.started'> = (spans, event, atUs) => {
  const agent = agentSpan(spans, event)
  if (!agent) return
  const tool = bounded(event.tool)
  spans.open({
    subject: 'tool',
    spanId: event.span_id,
    parentSpanId: agent.opening.spanId,
    name: spanName.tool(tool),
    atUs: within(event.started_at, agent.opening.atUs, atUs),
    attributes: {
      [ATTR.genAiOperationName]: 'execute_tool',
      [ATTR.genAiToolName]: tool,
      [ATTR.genAiToolCallId]: bounded(event.call_id),
      ...ofAgent(agent, event.attempt_id),
      ...(event.input !== undefined && { [ATTR.genAiToolCallArguments]: bounded(event.input, LIMITS.toolInputBytes) }),
    },
  })
}

export const toolFinished: Row<'tool.finished'> = (spans, event, atUs) => {
  const tool = spans.ofId(event.span_id)
  if (tool?.opening.subject !== 'tool') return
  const attributes: Attributes = {}
  if (event.exit_code !== undefined) attributes[ATTR.toolExitCode] = event.exit_code
  if (event.output !== undefined) attributes[ATTR.genAiToolCallResult] = bounded(event.output, LIMITS.failureTailBytes)
  const failure = event.ok ? undefined : toolFailure(event)
  spans.close(event.span_id, {
    atUs: within(event.ended_at, tool.opening.atUs, atUs),
    result: failure ? 'failure' : 'success',
    failure,
    attributes,
  })
}

/** What a tool said is content, like its output: it is told where that is. */
function toolFailure({ tool, exit_code: exit, error, output }: EventOf<'tool.finished'>): Failure {
  const said = output !== undefined && error?.trim() ? `: ${error}` : ''
  return exit !== undefined && exit !== 0
    ? failureOf('exit_nonzero', { message: `${tool} ended with exit code ${exit}${said}`, source: 'agent' })
    : failureOf('agent_failed', {
        message: `${tool} failed${said || '; what it said is in agent.json'}`,
        source: 'agent',
      })
}

/** On the node's span, or on the run's where that has ended: what a model wrote about its failures. */
export const failureSummarized: Row<'failure.summarized'> = (spans, event, atUs) => {
  const node = spans.ofVisit(event.node, event.visit)
  if (node?.tally) countSpend(node.tally, event.usage, event.cost)
  spans.addEvent(node ?? spans.run, SPAN_EVENT.failureSummarized, atUs, {
    [ATTR.nodePath]: event.node,
    [ATTR.nodeVisit]: event.visit,
    [ATTR.summaryText]: bounded(event.text, LIMITS.messageChars),
    [ATTR.summaryGenerated]: true,
    ...(event.model !== undefined && { [ATTR.genAiRequestModel]: bounded(event.model) }),
  })
}

/** No text came of it; what was spent on it counts. */
export const summaryFailed: Row<'summary.failed'> = (spans, event) => {
  const node = spans.ofVisit(event.node, event.visit)
  if (node?.tally) countSpend(node.tally, event.usage, event.cost)
}

/** Undefined once it has ended: what is told later has no place in it. */
function agentSpan(spans: RunSpans, event: { readonly attempt_id: string }): OpenSpan | undefined {
  const attempt = spans.ofAttempt(event.attempt_id)
  return attempt && spans.agentOf(attempt)
}

function ofAgent(agent: OpenSpan, attemptId: string): Attributes {
  const attributes: Attributes = { [ATTR.attemptId]: attemptId }
  for (const name of [ATTR.genAiAgentName, ATTR.genAiConversationId])
    if (agent.attributes[name] !== undefined) attributes[name] = agent.attributes[name]
  return attributes
}

function modelAttributes(model: string | undefined): Attributes {
  if (model === undefined) return {}
  const provider = providerOf(model)
  return {
    [ATTR.genAiRequestModel]: bounded(model),
    ...(provider !== undefined && { [ATTR.genAiProviderName]: provider }),
  }
}

const CODES = new Set<string>(FAILURE_CODES)

/** A code of a later version is none that a span may carry. */
const failureOf = (code: string, report: Omit<FailureReport, 'code'>): Failure =>
  completeFailure({ code: CODES.has(code) ? (code as FailureCode) : 'agent_failed', ...report })

/**
 * A client's clock is not ours: what it says is kept within its parent and before the entry that tells of it, so that no
 * trace shows a child outside its parent.
 */
function within(at: string, fromUs: number, toUs: number): number {
  const saidUs = Math.round(fromTimestamp(at) * 1_000)
  return Number.isFinite(saidUs) ? Math.min(Math.max(saidUs, fromUs), Math.max(fromUs, toUs)) : toUs
}

const text = (value: Attributes[string] | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined
