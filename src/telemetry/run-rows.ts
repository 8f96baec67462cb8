// Owns: what events of the run, its nodes and its branches mean for spans.
import { ATTEMPT_KINDS, type NodeKind } from '../core/pipeline.ts'
import { LIMITS } from '../core/limits.ts'
import { visitId } from '../core/ids.ts'
import { ATTR, LINK, SPAN_EVENT, spanName } from './names.ts'
import type { Row } from './span-rows.ts'
import type { RunSpans } from './run-spans.ts'
import { bounded, childrenAttributes, rollupAttributes } from './span-attributes.ts'
import type { Attributes, SpanLink } from './span-record.ts'

/** The node id: the last segment of a path. */
export const idOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

export const runCreated: Row<'run.created'> = (spans, event, atUs) => {
  spans.created(event)
  const { inbound } = event
  const asParent = inbound?.relation === 'parent'
  spans.open({
    subject: 'run',
    spanId: event.span_id,
    parentSpanId: asParent ? inbound.span_id : undefined,
    parentIsRemote: asParent,
    name: spanName.run(spans.pipeline),
    kind: 'SERVER',
    atUs,
    attributes: runAttributes(event.execution),
    links: inbound && !asParent ? [spans.inboundLink(inbound)] : [],
  })
}

export const runResumed: Row<'run.resumed'> = (spans, event, atUs) => {
  const first = event.parent_span_id ?? spans.firstRunSpanId
  const resumed = event.links.length > 0 ? event.links : first === undefined ? [] : [first]
  const links = resumed.slice(0, LIMITS.spanLinks).map((id) => spans.link(id, LINK.resumes))
  if (event.inbound) links.push(spans.inboundLink(event.inbound))
  spans.open({
    subject: 'run',
    spanId: event.span_id,
    parentSpanId: first,
    name: spanName.run(spans.pipeline),
    kind: 'SERVER',
    atUs,
    attributes: runAttributes(event.execution),
    links,
  })
}

const runAttributes = (execution: number): Attributes => ({
  [ATTR.pipelineActionName]: 'RUN',
  [ATTR.execution]: execution,
})

/** The process is gone: everything that is open ends here, now. */
export const runInterrupted: Row<'run.interrupted'> = (spans, event, atUs) => {
  spans.closeAll({ atUs, result: 'error', failure: event.failure })
}

export const runFinished: Row<'run.finished'> = (spans, event, atUs) => {
  const run = spans.run?.opening.spanId
  const ending = {
    atUs,
    result: event.result,
    failure: event.failure,
    attributes: { ...childrenAttributes(event.children), ...rollupAttributes(event.totals) },
  }
  spans.closeBelow(run, { atUs, result: 'cancellation' })
  if (run !== undefined) spans.close(run, ending)
}

export const nodeStarted: Row<'node.started'> = (spans, event, atUs) => {
  const links: SpanLink[] = (event.join_links ?? []).slice(0, LIMITS.spanLinks).map((id) => spans.link(id, LINK.join))
  if (event.continues !== undefined) links.push(spans.link(event.continues, LINK.continues))
  const omitted = (event.join_links_omitted ?? 0) + Math.max(0, (event.join_links?.length ?? 0) - LIMITS.spanLinks)
  spans.open({
    subject: 'node',
    spanId: event.span_id,
    parentSpanId: event.parent_span_id ?? spans.run?.opening.spanId,
    name: spanName.node(idOf(event.node)),
    atUs,
    attributes: { ...nodeAttributes(spans, event), ...(omitted > 0 ? { [ATTR.linksOmitted]: omitted } : {}) },
    links,
    visit: event,
  })
}

export const nodeSkipped: Row<'node.skipped'> = (spans, event, atUs) => {
  spans.open({
    subject: 'node',
    spanId: event.span_id,
    parentSpanId: event.parent_span_id ?? spans.run?.opening.spanId,
    name: spanName.node(idOf(event.node)),
    atUs,
    attributes: nodeAttributes(spans, event),
    visit: event,
  })
  spans.close(event.span_id, { atUs, result: 'skip', failure: event.failure })
}

export const nodeFinished: Row<'node.finished'> = (spans, event, atUs) => {
  const attributes: Attributes = {}
  if (event.label !== undefined) attributes[ATTR.nodeLabel] = bounded(event.label)
  if (event.partial === true) attributes[ATTR.nodePartial] = true
  if (hasAttempts(event.kind) || event.retry_count > 0) attributes[ATTR.retryCount] = event.retry_count
  if (event.children) Object.assign(attributes, childrenAttributes(event.children))
  if (event.children || hasAttempts(event.kind)) Object.assign(attributes, rollupAttributes(event.rollup))
  const ending = { atUs, result: event.result, failure: event.failure, attributes }
  // Whether the route is really taken is the next that is on record.
  if (event.route) spans.settle(event.span_id, ending)
  else spans.close(event.span_id, ending)
}

export const routeTaken: Row<'route.taken'> = (spans, event, atUs) => {
  const node = spans.ofVisit(event.node, event.visit)
  spans.addEvent(node, SPAN_EVENT.routeTaken, node?.settled?.atUs ?? atUs, {
    [ATTR.nodePath]: event.node,
    [ATTR.nodeVisit]: event.visit,
    [ATTR.routeTo]: event.to,
    [ATTR.routeIndex]: event.index,
    ...(event.label === undefined ? {} : { [ATTR.routeLabel]: bounded(event.label) }),
  })
  spans.release(node)
}

/** The target was running already. */
export const routeIgnored: Row<'route.ignored'> = (spans, event) => {
  spans.release(spans.ofVisit(event.node, event.visit))
}

const hasAttempts = (kind: string): boolean => ATTEMPT_KINDS.includes(kind as NodeKind)

export const fanoutExpanded: Row<'fanout.expanded'> = (spans, event) => {
  const node = spans.ofVisit(event.node, event.visit)
  if (node) node.attributes[ATTR.branchCount] = event.total
}

export const branchStarted: Row<'branch.started'> = (spans, event, atUs) => {
  spans.open({
    subject: 'branch',
    spanId: event.span_id,
    parentSpanId: event.parent_span_id ?? spans.ofVisit(event.node, event.visit)?.opening.spanId,
    name: spanName.branch(idOf(event.node)),
    atUs,
    attributes: {
      [ATTR.branchKey]: bounded(event.branch.key),
      [ATTR.branchIndex]: event.branch.index,
      [ATTR.nodePath]: event.node,
    },
    links: event.continues === undefined ? [] : [spans.link(event.continues, LINK.continues)],
  })
}

export const branchFinished: Row<'branch.finished'> = (spans, event, atUs) => {
  spans.close(event.span_id, {
    atUs,
    result: event.result,
    failure: event.failure,
    attributes: { ...childrenAttributes(event.children), ...rollupAttributes(event.rollup) },
  })
}

function nodeAttributes(spans: RunSpans, event: { node: string; visit: number; kind: string }): Attributes {
  const id = visitId(event.node, event.visit)
  return {
    ...taskAttributes(event.node, id, spans.url(`nodes/${id}`)),
    [ATTR.nodeKind]: event.kind,
    [ATTR.nodeVisit]: event.visit,
  }
}

/** What node and attempt spans share. */
export function taskAttributes(node: string, id: string, url: string): Attributes {
  return { [ATTR.taskName]: idOf(node), [ATTR.taskRunId]: id, [ATTR.taskRunUrl]: url, [ATTR.nodePath]: node }
}
