// Owns: the dashboard about tokens and money: by model, node and pipeline, what the cache saves, what has no price.
import { ATTR } from '../../src/telemetry/names.ts'
import type { Board } from './board.ts'
import { fromOne, neutral, WAITING_FOR_PEOPLE } from './colors.ts'
import { spanLinks } from './links.ts'
import { bars, type Column, figure, table } from './panels.ts'
import { BAR, countOf, is, oneOf, orZero, ratio, sumOf, total } from './promql.ts'
import { labelOf } from './series.ts'

const { pipelineName, taskName, taskRunResult, genAiRequestModel, costSource, genAiTokenType: TYPE } = ATTR
const FAILED = oneOf(['failure', 'error', 'timeout'])
const INPUT = oneOf(['input', 'cache_read', 'cache_creation'])
const legendOf = (attribute: string): string => `{{${labelOf(attribute)}}}`
type By = readonly (typeof pipelineName | typeof taskName | typeof genAiRequestModel)[]

const cost = (by: By): string => total('cost', { by })
const failedCost = (by: By): string => total('cost', { by, where: { [taskRunResult]: FAILED } })
const tokens = (by: By, type: string): string => sumOf('tokenUsage', { by, where: { [TYPE]: type } })
const cacheShare = (by: By): string => ratio(tokens(by, is('cache_read')), tokens(by, INPUT))
const attemptsOf = (place: 'chart' | 'table') =>
  spanLinks('Attempts of this node', { place, spans: 'attempt', pipeline: pipelineName, node: taskName })
const NO_TOKENS = 'no tokens reported'

const figures = [
  figure(
    {
      title: 'Cost',
      description:
        'US dollars of attempts that ended in the time range: reported by the agent or computed from its price list. Attempts at an unknown price are missing in it; they are counted on the right.',
      empty: 'nothing had a price',
    },
    cost([]),
    { unit: 'currencyUSD', decimals: 4 },
  ),
  figure(
    {
      title: 'Cost per run',
      description:
        'Cost in the time range divided by the runs that ended in it, of the chosen pipelines. Empty when none ended.',
      empty: 'no runs in this window',
    },
    ratio(cost([]), countOf('runDuration')),
    { unit: 'currencyUSD', decimals: 4 },
  ),
  figure(
    {
      title: 'Cost of failed attempts',
      description: 'The part of the cost that went into attempts with failure, error or timeout.',
      empty: 'no priced failures',
    },
    failedCost([]),
    { unit: 'currencyUSD', decimals: 4, thresholds: fromOne(WAITING_FOR_PEOPLE) },
  ),
  figure(
    {
      title: 'Share of it',
      description: 'Cost of failed attempts divided by all cost. Empty when nothing had a price.',
      empty: 'nothing had a price',
    },
    ratio(failedCost([]), cost([])),
    { unit: 'percentunit', decimals: 1, max: 1 },
  ),
  figure(
    {
      title: 'Unpriced attempts',
      description:
        'Attempts that used tokens at an unknown price: the cost shown is too low by theirs. They are unpriced, not free.',
      empty: 'every attempt has a price',
    },
    orZero(total('unpriced')),
    { thresholds: fromOne(WAITING_FOR_PEOPLE) },
  ),
  figure(
    {
      title: 'Tokens',
      description: 'All tokens of attempts that ended: uncached input, cache reads, cache writes and output.',
      empty: NO_TOKENS,
    },
    orZero(sumOf('tokenUsage')),
  ),
  figure(
    {
      title: 'Output tokens',
      description: 'Tokens that models wrote, reasoning included.',
      empty: NO_TOKENS,
    },
    orZero(tokens([], is('output'))),
  ),
  figure(
    {
      title: 'Cache share',
      description: 'Input tokens read from the cache, divided by all input tokens. Empty when no input was reported.',
      empty: NO_TOKENS,
    },
    cacheShare([]),
    { unit: 'percentunit', decimals: 1, max: 1, thresholds: neutral() },
  ),
]

/** The columns by which models, nodes and pipelines are compared. */
const columnsBy = (by: By): Column[] => [
  { title: 'Cost', expr: `${cost(by)} > 0`, unit: 'currencyUSD', decimals: 6, none: 'no price' },
  { title: 'Of failed attempts', expr: `${failedCost(by)} > 0`, unit: 'currencyUSD', decimals: 6 },
  {
    title: 'Unpriced',
    expr: `${total('unpriced', { by })} > 0`,
    decimals: 0,
    none: '0',
    thresholds: fromOne(WAITING_FOR_PEOPLE),
  },
  { title: 'Input', expr: `${tokens(by, is('input'))} > 0`, none: '0' },
  { title: 'Cache read', expr: `${tokens(by, is('cache_read'))} > 0`, none: '0' },
  { title: 'Cache write', expr: `${tokens(by, is('cache_creation'))} > 0`, none: '0' },
  { title: 'Output', expr: `${tokens(by, is('output'))} > 0`, none: '0' },
  { title: 'Cache share', expr: cacheShare(by), unit: 'percentunit', decimals: 1 },
]
const NO_USAGE =
  'No attempt reported tokens or cost in this window. Agents report by themselves; a command may: docs/steps.md'

const compared = [
  table(
    {
      title: 'By model',
      description:
        'Input is uncached input; the four kinds of tokens are disjoint and add up. A model without a name was not reported.',
      empty: NO_USAGE,
    },
    { keys: [[genAiRequestModel, 'Model']], columns: columnsBy([genAiRequestModel]), sortBy: 'Cost', height: 7 },
  ),
  table(
    {
      title: 'By node',
      description:
        'Where the money goes. Click a row for the attempts of the node; each carries its tokens and its cost.',
      empty: NO_USAGE,
    },
    {
      keys: [
        [pipelineName, 'Pipeline'],
        [taskName, 'Node'],
      ],
      columns: columnsBy([pipelineName, taskName]),
      sortBy: 'Cost',
      links: attemptsOf('table'),
      height: 9,
    },
  ),
  table(
    {
      title: 'By pipeline',
      description: 'Tokens and cost of whole pipelines, in the same columns.',
      empty: NO_USAGE,
    },
    {
      keys: [[pipelineName, 'Pipeline']],
      columns: columnsBy([pipelineName]),
      sortBy: 'Cost',
      links: spanLinks('Runs of this pipeline', { place: 'table', spans: 'run', pipeline: pipelineName }),
      height: 7,
    },
  ),
]

const overTime = [
  bars(
    {
      title: 'Cost by model',
      description:
        'US dollars of attempts that ended in each interval, by model. A long attempt counts where it ended.',
      empty: 'No attempt had a price in this window',
    },
    [{ expr: total('cost', { by: [genAiRequestModel], window: BAR }), legend: legendOf(genAiRequestModel) }],
    { unit: 'currencyUSD', decimals: 4 },
  ),
  bars(
    {
      title: 'Cost by node',
      description: 'US dollars of attempts that ended in each interval, by node.',
      empty: 'No attempt had a price in this window',
    },
    [
      {
        expr: total('cost', { by: [pipelineName, taskName], window: BAR }),
        legend: `${legendOf(pipelineName)} ${legendOf(taskName)}`,
      },
    ],
    { unit: 'currencyUSD', decimals: 4, links: attemptsOf('chart') },
  ),
  bars(
    {
      title: 'Tokens by type',
      description: 'Tokens of attempts that ended in each interval: uncached input, cache reads, cache writes, output.',
      empty: 'No attempt reported tokens in this window',
    },
    [{ expr: sumOf('tokenUsage', { by: [TYPE], window: BAR }), legend: legendOf(TYPE) }],
    { colors: { input: 'blue', cache_read: 'light-blue', cache_creation: 'purple', output: 'orange' } },
  ),
  bars(
    {
      title: 'Cost by source',
      description:
        'Who says what it cost: reported (the agent or the step itself) or computed (from tokens and a price list).',
      empty: 'No attempt had a price in this window',
    },
    [{ expr: total('cost', { by: [costSource], window: BAR }), legend: legendOf(costSource) }],
    { unit: 'currencyUSD', decimals: 4 },
  ),
]

export const tokensAndCost: Board = {
  uid: 'spanwright-cost',
  title: 'Tokens and cost',
  description: 'Tokens and money by model, node and pipeline; what the cache saves, what has no price.',
  variables: ['pipeline', 'node'],
  rows: [
    { title: 'In this window', panels: figures },
    { title: 'Compared', panels: compared },
    { title: 'Over time', panels: overTime },
  ],
}
