// Owns: the dashboard about fan-outs: how many branches are open, how they end, which ones hold up the join.
import { ATTR } from '../../src/telemetry/names.ts'
import type { Board } from './board.ts'
import { goodAbove, neutral, noticeAbove, RESULT_COLORS, RUNNING } from './colors.ts'
import { spanLinks } from './links.ts'
import { bars, figure, lines, points, table } from './panels.ts'
import { BAR, countOf, is, oneOf, openAtMost, openNow, orZero, quantile, RANGE, ratio, sumOf } from './promql.ts'
import { labelOf } from './series.ts'

const { pipelineName, taskName, taskRunResult } = ATTR
const NODE = [pipelineName, taskName] as const
const JUDGED = oneOf(['success', 'failure', 'error', 'timeout'])
const legendOf = (attribute: string): string => `{{${labelOf(attribute)}}}`
const byNode = `${legendOf(pipelineName)} ${legendOf(taskName)}`
type By = readonly (typeof pipelineName | typeof taskName)[]
type Window = typeof RANGE | typeof BAR

const health = (by: By, window: Window = RANGE): string =>
  ratio(
    countOf('branchDuration', { by, where: { [taskRunResult]: is('success') }, window }),
    countOf('branchDuration', { by, where: { [taskRunResult]: JUDGED }, window }),
  )
const straggler = (by: By, window: Window = RANGE): string =>
  `${quantile(0.95, 'branchDuration', { by, window })} / (${quantile(0.5, 'branchDuration', { by, window })} > 0)`
const branchLinks = (place: 'chart' | 'table') =>
  spanLinks('Branches of this fan-out', { place, spans: 'branch', pipeline: pipelineName, node: taskName })
const NO_FANOUT = 'No branch of a fan-out ended in this window'

const figures = [
  figure(
    {
      title: 'Branches open',
      description: 'Fan-out branches under way now, over all runs. 0 when no fan-out runs.',
      empty: 'no fan-out runs',
    },
    orZero(openNow('branchesOpen')),
    { width: 4, thresholds: neutral(RUNNING) },
  ),
  figure(
    {
      title: 'Branches ended',
      description: 'Branches that ended in the time range, with any result. Branches that never started are not in it.',
      empty: 'no branches in this window',
    },
    orZero(countOf('branchDuration')),
    { width: 4 },
  ),
  figure(
    {
      title: 'Fan-out health',
      description:
        'Share of good branches: success among success, failure, error and timeout. Canceled branches (a join was satisfied, or failed fast) count as neither. Empty when none ended.',
      empty: 'no branches in this window',
    },
    health([]),
    { width: 4, unit: 'percentunit', decimals: 1, max: 1, thresholds: goodAbove(0.5, 0.9) },
  ),
  figure(
    {
      title: 'Straggler factor',
      description:
        '95th percentile of branch durations divided by their median: how much longer the slowest branches take. 1 is even; from 3 a few branches decide when the join is reached. Estimated from buckets.',
      empty: 'no branches in this window',
    },
    straggler([]),
    { width: 4, unit: 'none', decimals: 1, thresholds: noticeAbove(3) },
  ),
  figure(
    {
      title: 'Join waiting p95',
      description:
        'How long fan-outs went on after their first branch had ended: the 95th percentile. Time in which finished branches wait for the others.',
      empty: 'no fan-out ended',
    },
    quantile(0.95, 'joinWait'),
    { width: 4, unit: 's' },
  ),
  figure(
    {
      title: 'Join waiting in all',
      description: 'The sum of that time over all fan-outs that ended in the time range.',
      empty: 'no fan-out ended',
    },
    orZero(sumOf('joinWait')),
    { width: 4, unit: 's' },
  ),
]

const perFanout = [
  table(
    {
      title: 'Fan-outs',
      description:
        'One row for each fan-out node. Good is the share of good branches, canceled ones left out. Straggler factor is p95 divided by p50 of branch durations; percentiles are estimated from buckets. Click a row for the branches.',
      empty: 'No branch of a fan-out was open or ended in this window',
    },
    {
      keys: [
        [pipelineName, 'Pipeline'],
        [taskName, 'Fan-out'],
      ],
      columns: [
        { title: 'Open', expr: `${openNow('branchesOpen', { by: NODE })} > 0`, decimals: 0, none: '0' },
        { title: 'Ended', expr: `${countOf('branchDuration', { by: NODE })} > 0`, decimals: 0, none: '0' },
        { title: 'Good', expr: health(NODE), unit: 'percentunit', decimals: 1, thresholds: goodAbove(0.5, 0.9) },
        { title: 'Branch p50', expr: quantile(0.5, 'branchDuration', { by: NODE }), unit: 's' },
        { title: 'Branch p95', expr: quantile(0.95, 'branchDuration', { by: NODE }), unit: 's' },
        { title: 'Straggler factor', expr: straggler(NODE), unit: 'none', decimals: 1, thresholds: noticeAbove(3) },
        { title: 'Joins', expr: `${countOf('joinWait', { by: NODE })} > 0`, decimals: 0, none: '0' },
        { title: 'Join waiting p50', expr: quantile(0.5, 'joinWait', { by: NODE }), unit: 's' },
        { title: 'Join waiting p95', expr: quantile(0.95, 'joinWait', { by: NODE }), unit: 's' },
      ],
      sortBy: 'Straggler factor',
      links: branchLinks('table'),
    },
  ),
]

const overTime = [
  lines(
    {
      title: 'Branches open',
      description: 'The most branches that were open at once in each interval, by fan-out.',
      empty: 'No fan-out ran in this window',
    },
    [{ expr: openAtMost('branchesOpen', { by: NODE }), legend: byNode }],
    { stacked: true, decimals: 0, links: branchLinks('chart') },
  ),
  bars(
    {
      title: 'Branch ends by result',
      description: 'Branches that ended in each interval, by result.',
      empty: NO_FANOUT,
    },
    [{ expr: countOf('branchDuration', { by: [taskRunResult], window: BAR }), legend: legendOf(taskRunResult) }],
    { colors: RESULT_COLORS },
  ),
  points(
    {
      title: 'Branch duration',
      description: 'Median and 95th percentile of the branches that ended in each interval. Far apart: stragglers.',
      empty: NO_FANOUT,
    },
    [
      { expr: quantile(0.5, 'branchDuration', { by: NODE, window: BAR }), legend: `p50 ${byNode}` },
      { expr: quantile(0.95, 'branchDuration', { by: NODE, window: BAR }), legend: `p95 ${byNode}` },
    ],
    { unit: 's', links: branchLinks('chart') },
  ),
  points(
    {
      title: 'Join waiting',
      description: 'Time between the first end of a branch and the end of its fan-out: median and 95th percentile.',
      empty: 'No fan-out ended in this window',
    },
    [
      { expr: quantile(0.5, 'joinWait', { by: NODE, window: BAR }), legend: `p50 ${byNode}` },
      { expr: quantile(0.95, 'joinWait', { by: NODE, window: BAR }), legend: `p95 ${byNode}` },
    ],
    { unit: 's' },
  ),
]

export const fanout: Board = {
  uid: 'spanwright-fanout',
  title: 'Fan-out',
  description: 'How many branches are open, how they end, which hold up the join.',
  variables: ['pipeline', 'node'],
  rows: [
    { title: 'Now, and in this window', panels: figures },
    { title: 'By fan-out', panels: perFanout },
    { title: 'Over time', panels: overTime },
  ],
}
