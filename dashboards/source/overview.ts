// Owns: the dashboard that is opened first: how runs ended, why, what waits for a person, what it cost.
import { ATTR } from '../../src/telemetry/names.ts'
import { type Board, FIRING } from './board.ts'
import { FAILING, fromOne, goodAbove, neutral, RESULT_COLORS, RUNNING, WAITING_FOR_PEOPLE } from './colors.ts'
import { alertLink, boardLink, spanLinks } from './links.ts'
import { bars, figure, lines, points, table } from './panels.ts'
import {
  ANY,
  BAR,
  countOf,
  is,
  maxBy,
  not,
  oneOf,
  openAtMost,
  openNow,
  orZero,
  quantile,
  ratio,
  total,
} from './promql.ts'
import { labelOf } from './series.ts'

const { pipelineName, pipelineResult, errorType, taskName } = ATTR
const JUDGED = oneOf(['success', 'failure', 'error', 'timeout'])
const NOT_JUDGED_NOTE = 'Canceled runs count as neither.'
const legendOf = (attribute: string): string => `{{${labelOf(attribute)}}}`

const endedBy = (by: readonly (typeof pipelineName)[]): string => countOf('runDuration', { by })
const judgedBy = (by: readonly (typeof pipelineName)[]): string =>
  countOf('runDuration', { by, where: { [pipelineResult]: JUDGED } })
const goodBy = (by: readonly (typeof pipelineName)[]): string =>
  countOf('runDuration', { by, where: { [pipelineResult]: is('success') } })
const costBy = (by: readonly (typeof pipelineName)[]): string => total('cost', { by, where: { [taskName]: ANY } })

const alertLabels = ['alertname', 'severity', labelOf(pipelineName), labelOf(taskName)]

const now = [
  figure(
    {
      title: 'Alerts firing',
      description:
        'Alerts that fire now for the chosen pipelines, and those that belong to none. Prometheus says so in its series ALERTS; the table below names them. 0 means that no rule is met.',
      empty: 'rules not evaluated yet',
    },
    orZero(`count(${FIRING})`),
    { thresholds: fromOne(FAILING) },
  ),
  figure(
    {
      title: 'Runs open',
      description:
        'Runs under way now, over all processes. A process that died without a word still counts, for at most two hours: its runs are lost, see "Stuck and waiting".',
      empty: 'no runs open',
    },
    orZero(openNow('runsOpen')),
    { thresholds: neutral(RUNNING) },
  ),
  figure(
    {
      title: 'Gates open',
      description:
        'Gates that wait for a person now. Answer with: spanwright gate answer RUN NODE CHOICE. `spanwright gate list` shows them.',
      empty: 'no gate waits',
    },
    orZero(openNow('gatesOpen', { where: { [taskName]: ANY } })),
    { thresholds: fromOne(WAITING_FOR_PEOPLE) },
  ),
  figure(
    {
      title: 'Runs ended',
      description: 'Runs that ended in the time range, with any result. Sum over time of the run durations recorded.',
      empty: 'no runs ended in this window',
    },
    orZero(endedBy([])),
  ),
  figure(
    {
      title: 'Success ratio',
      description: `Runs that ended well among those that ended with success, failure, error or timeout in the time range. ${NOT_JUDGED_NOTE} Empty when none ended.`,
      empty: 'no runs in this window',
    },
    ratio(goodBy([]), judgedBy([])),
    { unit: 'percentunit', decimals: 1, max: 1, thresholds: goodAbove(0.5, 0.9) },
  ),
  figure(
    {
      title: 'Cost',
      description:
        'What attempts that ended in the time range cost, in US dollars, as reported by the agent or computed from its price list. Attempts at an unknown price are not in it: "Tokens and cost" counts them.',
      empty: 'nothing had a price',
    },
    costBy([]),
    { unit: 'currencyUSD', decimals: 2 },
  ),
  figure(
    {
      title: 'Cost per run',
      description:
        'Cost in the time range divided by the runs that ended in it. Attempts of runs that are still open count on the left side only. Empty when no run ended; 0 when no attempt had a price.',
      empty: 'no runs in this window',
    },
    ratio(costBy([]), endedBy([])),
    { unit: 'currencyUSD', decimals: 4 },
  ),
  figure(
    {
      title: 'Cost per successful run',
      description:
        'All cost in the time range, that of failed runs too, divided by the runs that succeeded: what a good result costs. Empty when none succeeded.',
      empty: 'no run succeeded',
    },
    ratio(costBy([]), goodBy([])),
    { unit: 'currencyUSD', decimals: 4 },
  ),
]

const results = [
  bars(
    {
      title: 'Run ends by result',
      description:
        'How many runs ended in each interval, by result. Exact counts; the last bar holds the interval that is not over yet. Red is failure, error and timeout; grey was canceled.',
      empty: 'No runs ended in this window. Start one: spanwright run PIPELINE',
    },
    [
      {
        expr: countOf('runDuration', { by: [pipelineResult, pipelineName], window: BAR }),
        legend: `${legendOf(pipelineResult)} ${legendOf(pipelineName)}`,
      },
    ],
    {
      colors: RESULT_COLORS,
      links: spanLinks('Runs with this result', {
        place: 'chart',
        spans: 'run',
        pipeline: pipelineName,
        same: [pipelineResult],
      }),
    },
  ),
  table(
    {
      title: 'Why runs failed',
      description:
        'Runs that did not succeed, by the code of their failure (docs/failures.md says what each means). Click a row for the spans of these runs.',
      empty: 'No run failed in this window',
    },
    {
      keys: [
        [pipelineName, 'Pipeline'],
        [pipelineResult, 'Result'],
        [errorType, 'Code'],
      ],
      columns: [
        {
          title: 'Runs',
          expr: `${countOf('runDuration', { by: [pipelineName, pipelineResult, errorType], where: { [errorType]: not('') } })} > 0`,
          decimals: 0,
        },
      ],
      sortBy: 'Runs',
      links: [
        ...spanLinks('These runs', {
          place: 'table',
          spans: 'run',
          pipeline: pipelineName,
          same: [pipelineResult, errorType],
        }),
        boardLink('Retries and failures of this pipeline', 'spanwright-retries', 'table', pipelineName),
      ],
      width: 12,
    },
  ),
]

const perPipeline = [
  table(
    {
      title: 'Pipelines',
      description:
        'One row for each pipeline with runs in the time range or open now. Success leaves out canceled runs. Durations are of runs that ended, estimated from buckets. Cost is of attempts that ended.',
      empty: 'No runs in this window. Start one: spanwright run PIPELINE',
    },
    {
      keys: [[pipelineName, 'Pipeline']],
      columns: [
        { title: 'Ended', expr: `${endedBy([pipelineName])} > 0`, decimals: 0, none: '0' },
        { title: 'Open', expr: `${openNow('runsOpen', { by: [pipelineName] })} > 0`, decimals: 0, none: '0' },
        {
          title: 'Success',
          expr: ratio(goodBy([pipelineName]), judgedBy([pipelineName])),
          unit: 'percentunit',
          decimals: 1,
          thresholds: goodAbove(0.5, 0.9),
          none: 'no runs',
        },
        { title: 'Duration p50', expr: quantile(0.5, 'runDuration', { by: [pipelineName] }), unit: 's' },
        { title: 'Duration p95', expr: quantile(0.95, 'runDuration', { by: [pipelineName] }), unit: 's' },
        { title: 'Cost', expr: `${costBy([pipelineName])} > 0`, unit: 'currencyUSD', decimals: 4, none: 'no price' },
        {
          title: 'Cost per run',
          expr: `${ratio(costBy([pipelineName]), endedBy([pipelineName]))} > 0`,
          unit: 'currencyUSD',
          decimals: 4,
        },
        {
          title: 'Cost per success',
          expr: `${ratio(costBy([pipelineName]), goodBy([pipelineName]))} > 0`,
          unit: 'currencyUSD',
          decimals: 4,
        },
      ],
      sortBy: 'Ended',
      links: [
        ...spanLinks('Runs of this pipeline', { place: 'table', spans: 'run', pipeline: pipelineName }),
        boardLink('Retries and failures', 'spanwright-retries', 'table', pipelineName),
        boardLink('Tokens and cost', 'spanwright-cost', 'table', pipelineName),
        boardLink('Stuck and waiting', 'spanwright-stuck', 'table', pipelineName),
      ],
    },
  ),
]

const overTime = [
  lines(
    {
      title: 'Runs open',
      description:
        'The most runs that were open at once in each interval, by pipeline; a process that ran for seconds shows too.',
      empty: 'No runs were open in this window',
    },
    [{ expr: openAtMost('runsOpen', { by: [pipelineName] }), legend: legendOf(pipelineName) }],
    { width: 8, stacked: true, decimals: 0 },
  ),
  points(
    {
      title: 'Run duration',
      description:
        'Median and 95th percentile of the runs that ended in each interval, estimated from buckets. No point where none ended.',
      empty: 'No runs ended in this window',
    },
    [
      {
        expr: quantile(0.5, 'runDuration', { by: [pipelineName], window: BAR }),
        legend: `p50 ${legendOf(pipelineName)}`,
      },
      {
        expr: quantile(0.95, 'runDuration', { by: [pipelineName], window: BAR }),
        legend: `p95 ${legendOf(pipelineName)}`,
      },
    ],
    {
      width: 8,
      unit: 's',
      links: spanLinks('Runs of this pipeline', { place: 'chart', spans: 'run', pipeline: pipelineName }),
    },
  ),
  table(
    {
      title: 'Alerts firing',
      description:
        'What fires now and for how long. Click a row for the alert in Prometheus, with the link to its runbook page (docs/alerts); Alertmanager says who was told.',
      empty: 'No alert fires',
    },
    {
      keys: [
        ['alertname', 'Alert'],
        ['severity', 'Severity'],
        [pipelineName, 'Pipeline'],
        [taskName, 'Node'],
      ],
      columns: [
        {
          title: 'Firing for',
          expr: maxBy(alertLabels, `time() - (ALERTS_FOR_STATE and ignoring (alertstate) ${FIRING})`),
          unit: 's',
        },
      ],
      sortBy: 'Firing for',
      links: [alertLink('This alert and its runbook page, in Prometheus')],
      width: 8,
    },
  ),
]

export const overview: Board = {
  uid: 'spanwright-overview',
  title: 'Overview',
  description: 'How runs end, why, what waits for a person and what it costs.',
  variables: ['pipeline'],
  rows: [
    { title: 'Now, and in this window', panels: now },
    { title: 'Results', panels: results },
    { title: 'Pipelines', panels: perPipeline },
    { title: 'Over time', panels: overTime },
  ],
}
