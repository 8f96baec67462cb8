// Owns: the dashboard about attempts: what fails, what is tried again, and what that wastes.
import { FAILURE_CLASSES } from '../../src/core/failure.ts'
import { ATTR } from '../../src/telemetry/names.ts'
import type { Board } from './board.ts'
import { FAILING, fromOne, goodAbove, noticeAbove, RESULT_COLORS, WAITING_FOR_PEOPLE } from './colors.ts'
import { spanLinks } from './links.ts'
import { bars, figure, points, table } from './panels.ts'
import { BAR, countOf, is, not, oneOf, openNow, orZero, quantile, RANGE, ratio, sumBy, sumOf, total } from './promql.ts'
import { labelOf } from './series.ts'

const { pipelineName, taskName, taskRunResult, errorType, attemptNumber } = ATTR
const FAILED = oneOf(['failure', 'error', 'timeout'])
const JUDGED = oneOf(['success', 'failure', 'error', 'timeout'])
const NODE = [pipelineName, taskName] as const
const NODE_KEYS = [
  [pipelineName, 'Pipeline'],
  [taskName, 'Node'],
] as const
const legendOf = (attribute: string): string => `{{${labelOf(attribute)}}}`
const byNode = `${legendOf(pipelineName)} ${legendOf(taskName)}`

type Window = typeof RANGE | typeof BAR
type By = readonly (typeof pipelineName | typeof taskName)[]

const failedAttempts = (by: By): string => countOf('attemptDuration', { by, where: { [taskRunResult]: FAILED } })
const firstAttempts = (by: By, result: string): string =>
  countOf('attemptDuration', { by, where: { [attemptNumber]: is('1'), [taskRunResult]: result } })
const firstSuccess = (by: By): string => ratio(firstAttempts(by, is('success')), firstAttempts(by, JUDGED))
const retryRate = (by: By): string => ratio(total('retries', { by }), total('attempts', { by }))
const wastedTime = (by: By, window: Window = RANGE): string =>
  sumOf('attemptDuration', { by, where: { [taskRunResult]: FAILED }, window })
const wastedCost = (by: By, window: Window = RANGE): string =>
  total('cost', { by, where: { [taskRunResult]: FAILED }, window })

/** Adds the label `class` to failures by code; the table of codes is that of core/failure.ts. */
function byClass(failures: string): string {
  const classified = Object.entries(FAILURE_CLASSES).reduce(
    (inner, [name, codes]) =>
      `label_replace(${inner}, "class", "${name}", "${labelOf(errorType)}", "${codes.join('|')}")`,
    failures,
  )
  return sumBy(['class'], classified)
}

const attemptLinks = spanLinks('These attempts', {
  place: 'table',
  spans: 'attempt',
  pipeline: pipelineName,
  node: taskName,
  same: [errorType],
})
const allOf = spanLinks('Attempts of this node', {
  place: 'table',
  spans: 'attempt',
  pipeline: pipelineName,
  node: taskName,
})
const failedOf = (what: string, place: 'chart' | 'table') =>
  spanLinks(what, { place, spans: 'attempt', pipeline: pipelineName, node: taskName, fixed: { error: 'true' } })

const figures = [
  figure(
    {
      title: 'Attempts ended',
      description: 'Attempts that ended in the time range, with any result; the first one of a visit counts too.',
      empty: 'no attempts in this window',
    },
    orZero(total('attempts')),
  ),
  figure(
    {
      title: 'Retries',
      description: 'Attempts that were started again after a failure. Waiting for a limit is no retry.',
      empty: 'no retries in this window',
    },
    orZero(total('retries')),
    { thresholds: fromOne(WAITING_FOR_PEOPLE) },
  ),
  figure(
    {
      title: 'Retry rate',
      description: 'Retries divided by attempts in the time range. Empty when no attempt ended.',
      empty: 'no attempts in this window',
    },
    retryRate([]),
    { unit: 'percentunit', decimals: 1, thresholds: noticeAbove(0.2) },
  ),
  figure(
    {
      title: 'First-attempt success',
      description:
        'First attempts that succeeded among first attempts that succeeded, failed, erred or timed out. Canceled ones count as neither. Empty when no first attempt ended.',
      empty: 'no attempts in this window',
    },
    firstSuccess([]),
    { unit: 'percentunit', decimals: 1, max: 1, thresholds: goodAbove(0.5, 0.9) },
  ),
  figure(
    {
      title: 'Time in failed attempts',
      description:
        'Sum of the durations of attempts that ended with failure, error or timeout: time that gave no result.',
      empty: 'no failed attempts',
    },
    orZero(wastedTime([])),
    { unit: 's', thresholds: fromOne(WAITING_FOR_PEOPLE) },
  ),
  figure(
    {
      title: 'Cost of failed attempts',
      description:
        'What attempts with failure, error or timeout cost in US dollars. Attempts without a price are not in it.',
      empty: 'no priced failures',
    },
    wastedCost([]),
    { unit: 'currencyUSD', decimals: 4, thresholds: fromOne(WAITING_FOR_PEOPLE) },
  ),
  figure(
    {
      title: 'Breakers opened',
      description: 'Times the breaker stopped a node that failed in the same way again and again, in the time range.',
      empty: 'no breaker opened',
    },
    orZero(total('breakersOpened')),
    { thresholds: fromOne(FAILING) },
  ),
  figure(
    {
      title: 'Breakers open now',
      description: 'Nodes whose breaker is open in a run that has not ended yet.',
      empty: 'no breaker is open',
    },
    orZero(openNow('breakerOpen')),
    { thresholds: fromOne(FAILING) },
  ),
]

const failures = [
  bars(
    {
      title: 'Failed attempts by code',
      description:
        'Attempts that failed in each interval, by failure code. Lost attempts (worker_lost) of killed processes are in it. The last bar holds the interval that is not over yet.',
      empty: 'No attempt failed in this window',
    },
    [
      {
        expr: countOf('attemptDuration', { by: [errorType], where: { [errorType]: not('') }, window: BAR }),
        legend: legendOf(errorType),
      },
    ],
    { hue: FAILING },
  ),
  bars(
    {
      title: 'Failed attempts by class',
      description:
        'The same, by class: deterministic (will fail again), transient, timeout, crash, configuration, budget, human, breaker, internal. A class follows from the code.',
      empty: 'No attempt failed in this window',
    },
    [
      {
        expr: byClass(countOf('attemptDuration', { by: [errorType], where: { [errorType]: not('') }, window: BAR })),
        legend: '{{class}}',
      },
    ],
  ),
  table(
    {
      title: 'Failures by node and code',
      description:
        'Which node failed how often and in which way in the time range. Click a row for exactly these attempts, with message, output tail and retries.',
      empty: 'No attempt failed in this window',
    },
    {
      keys: [...NODE_KEYS, [errorType, 'Code']],
      columns: [
        {
          title: 'Attempts',
          expr: `${countOf('attemptDuration', { by: [...NODE, errorType], where: { [errorType]: not('') } })} > 0`,
          decimals: 0,
        },
        {
          title: 'Retried',
          expr: `${total('retries', { by: [...NODE, errorType] })} > 0`,
          decimals: 0,
          none: '0',
        },
        {
          title: 'Time',
          expr: `${sumOf('attemptDuration', { by: [...NODE, errorType], where: { [errorType]: not('') } })} > 0`,
          unit: 's',
        },
      ],
      sortBy: 'Attempts',
      links: attemptLinks,
      width: 12,
      height: 9,
    },
  ),
  bars(
    {
      title: 'Retries by the failure that was retried',
      description: 'Retries scheduled in each interval, by the code of the failure before.',
      empty: 'Nothing was retried in this window',
    },
    [{ expr: total('retries', { by: [errorType], window: BAR }), legend: legendOf(errorType) }],
    { height: 9 },
  ),
]

const nodes = [
  table(
    {
      title: 'Nodes',
      description:
        'Retry rate is retries per attempt. First-attempt success leaves out canceled attempts. Time and cost are of attempts with failure, error or timeout. Durations are estimated from buckets.',
      empty: 'No attempts ended in this window',
    },
    {
      keys: NODE_KEYS,
      columns: [
        { title: 'Attempts', expr: `${total('attempts', { by: NODE })} > 0`, decimals: 0 },
        { title: 'Failed', expr: `${failedAttempts(NODE)} > 0`, decimals: 0, none: '0' },
        { title: 'Retries', expr: `${total('retries', { by: NODE })} > 0`, decimals: 0, none: '0' },
        {
          title: 'Retry rate',
          expr: retryRate(NODE),
          unit: 'percentunit',
          decimals: 1,
          thresholds: noticeAbove(0.2),
        },
        {
          title: 'First-attempt success',
          expr: firstSuccess(NODE),
          unit: 'percentunit',
          decimals: 1,
          thresholds: goodAbove(0.5, 0.9),
        },
        { title: 'Duration p50', expr: quantile(0.5, 'attemptDuration', { by: NODE }), unit: 's' },
        { title: 'Duration p95', expr: quantile(0.95, 'attemptDuration', { by: NODE }), unit: 's' },
        { title: 'Wasted time', expr: `${wastedTime(NODE)} > 0`, unit: 's' },
        { title: 'Wasted cost', expr: `${wastedCost(NODE)} > 0`, unit: 'currencyUSD', decimals: 4 },
      ],
      sortBy: 'Retry rate',
      links: [...allOf, ...failedOf('Failed attempts of this node', 'table')],
      height: 9,
    },
  ),
]

const overTime = [
  bars(
    {
      title: 'Attempts by result',
      description: 'Attempts that ended in each interval, by result.',
      empty: 'No attempts ended in this window',
    },
    [{ expr: total('attempts', { by: [taskRunResult], window: BAR }), legend: legendOf(taskRunResult) }],
    { colors: RESULT_COLORS },
  ),
  bars(
    {
      title: 'Time in failed attempts',
      description: 'Durations of attempts that ended with failure, error or timeout in each interval, by node.',
      empty: 'No attempt failed in this window',
    },
    [{ expr: wastedTime(NODE, BAR), legend: byNode }],
    { unit: 's', links: failedOf('Failed attempts of this node', 'chart') },
  ),
  bars(
    {
      title: 'Cost of failed attempts',
      description:
        'What attempts with failure, error or timeout cost in each interval, by node. Unpriced ones are not in it.',
      empty: 'No failed attempt had a price in this window',
    },
    [{ expr: wastedCost(NODE, BAR), legend: byNode }],
    { unit: 'currencyUSD', decimals: 4, links: failedOf('Failed attempts of this node', 'chart') },
  ),
  points(
    {
      title: 'Attempt duration p95',
      description: '95th percentile of the attempts that ended in each interval, by node, estimated from buckets.',
      empty: 'No attempts ended in this window',
    },
    [{ expr: quantile(0.95, 'attemptDuration', { by: NODE, window: BAR }), legend: byNode }],
    { unit: 's' },
  ),
  bars(
    {
      title: 'Breakers opened',
      description:
        'When a breaker stopped a node, by node. The original cause is in the failure of the run: spanwright show RUN.',
      empty: 'No breaker opened in this window',
    },
    [{ expr: total('breakersOpened', { by: NODE, window: BAR }), legend: byNode }],
    { width: 24, height: 6, hue: FAILING },
  ),
]

export const retries: Board = {
  uid: 'spanwright-retries',
  title: 'Retries and failures',
  description: 'What fails, what is tried again, and what that wastes.',
  variables: ['pipeline', 'node'],
  rows: [
    { title: 'In this window', panels: figures },
    { title: 'Failures', panels: failures },
    { title: 'By node', panels: nodes },
    { title: 'Over time', panels: overTime },
  ],
}
