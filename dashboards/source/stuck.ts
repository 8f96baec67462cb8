// Owns: the dashboard about work that does not go on: idle attempts, gates, limits, processes that went silent.
import { ATTR } from '../../src/telemetry/names.ts'
import type { Board } from './board.ts'
import { badAbove, FAILING, fromOne, RUNNING, WAITING_FOR_PEOPLE, neutral } from './colors.ts'
import { spanLinks } from './links.ts'
import { figure, lines, table } from './panels.ts'
import { maxBy, minBy, nowOf, openAtMost, openNow, orZero, recorded, shown, sumBy } from './promql.ts'
import { labelOf } from './series.ts'

const { pipelineName, taskName, budgetKind } = ATTR
const NODE = [pipelineName, taskName] as const
const PER_PROCESS = [pipelineName, taskName, 'instance'] as const
const legendOf = (attribute: string): string => `{{${labelOf(attribute)}}}`
const byNode = `${legendOf(pipelineName)} ${legendOf(taskName)}`
const BY_PROCESS = `on (instance, ${NODE.map(labelOf).join(', ')})`

/** Times mean something only while an attempt or a gate is open; what is left of earlier ones is not looked at. */
const whileOpen = (seconds: string, open: 'attemptsOpen' | 'gatesOpen'): string =>
  `(${seconds}) and ${BY_PROCESS} ${nowOf(open)} > 0`

const attemptAge = whileOpen(`time() - ${nowOf('oldestStart')}`, 'attemptsOpen')
const gateAge = whileOpen(`time() - ${nowOf('gateOldest')}`, 'gatesOpen')
const stallTimeout = whileOpen(nowOf('stallTimeout'), 'attemptsOpen')
const timeLeft = whileOpen(`${nowOf('attemptDeadline')} - time()`, 'attemptsOpen')
const idle = recorded('idle')
const idleShare = `max by (${[...PER_PROCESS].map(labelOf).join(', ')}) (${idle}) / ${maxBy(PER_PROCESS, stallTimeout)}`
/** Processes that have runs open; one that ended well has closed its own. */
const alive = (seconds: string): string =>
  `(${seconds}) and on (instance) ${sumBy(['instance'], nowOf('runsOpen'))} > 0`

const attemptsOf = spanLinks('Open attempts of this node', {
  place: 'table',
  spans: 'open attempt',
  pipeline: pipelineName,
  node: taskName,
})
const NO_ATTEMPT = 'no attempt is open'

const figures = [
  figure(
    {
      title: 'Attempts open',
      description: 'Attempts under way now, those that wait for a limit included.',
      empty: NO_ATTEMPT,
    },
    orZero(openNow('attemptsOpen')),
    { thresholds: neutral(RUNNING) },
  ),
  figure(
    {
      title: 'Oldest attempt',
      description: 'How long the oldest open attempt has been under way. Old is not stuck: see idle time.',
      empty: NO_ATTEMPT,
    },
    `max(${attemptAge})`,
    { unit: 's', decimals: 0 },
  ),
  figure(
    {
      title: 'Longest idle',
      description:
        'The longest time that an open attempt has made no progress and no output, up to the last heartbeat of its process. Attempts that wait for a limit are not idle.',
      empty: NO_ATTEMPT,
    },
    `max(${idle})`,
    { unit: 's', decimals: 0 },
  ),
  figure(
    {
      title: 'Idle of stall timeout',
      description:
        'Idle time as a share of the stall timeout of the node, the highest one. Above 100 % the runner should have ended the attempt: the alert SpanwrightAttemptStuck fires. Only nodes with a stall timeout (agents by default).',
      empty: 'no stall timeout runs',
    },
    `max(${idleShare})`,
    { unit: 'percentunit', decimals: 0, thresholds: badAbove(0.8, 1) },
  ),
  figure(
    {
      title: 'Wait for a limit',
      description:
        'Attempts that wait until a limit of a provider is reset. They go on by themselves; they are not stuck.',
      empty: 'nothing waits for a limit',
    },
    orZero(openNow('attemptsWaiting')),
  ),
  figure(
    {
      title: 'Gates open',
      description:
        'Gates that wait for a person. `spanwright gate list` shows them; answer with spanwright gate answer RUN NODE CHOICE.',
      empty: 'no gate waits',
    },
    orZero(openNow('gatesOpen')),
    { thresholds: fromOne(WAITING_FOR_PEOPLE) },
  ),
  figure(
    {
      title: 'Oldest gate',
      description: 'How long the oldest open gate has been waiting for an answer.',
      empty: 'no gate waits',
    },
    `max(${gateAge})`,
    { unit: 's', decimals: 0, thresholds: fromOne(WAITING_FOR_PEOPLE) },
  ),
  figure(
    {
      title: 'Oldest heartbeat',
      description:
        'Age of the last heartbeat of the process that was silent for longest, among processes with open runs. A heartbeat comes every 10 s; from 60 s the process is lost: spanwright recover.',
      empty: 'no run is open',
    },
    `max(${alive(recorded('heartbeatAge'))})`,
    { unit: 's', decimals: 0, thresholds: badAbove(30, 60) },
  ),
]

const open = [
  table(
    {
      title: 'Open attempts',
      description:
        'One row for each node of each process with open attempts, the most idle first. Idle is time without progress. Time left is until the timeout of the attempt; below 0 it is overdue. Click a row for the markers in their traces: a span is sent when it ends.',
      empty: 'No attempt is open',
    },
    {
      keys: [
        [pipelineName, 'Pipeline'],
        [taskName, 'Node'],
        ['instance', 'Process'],
      ],
      columns: [
        { title: 'Open', expr: `${openNow('attemptsOpen', { by: PER_PROCESS })} > 0`, decimals: 0 },
        {
          title: 'Wait for a limit',
          expr: `${openNow('attemptsWaiting', { by: PER_PROCESS })} > 0`,
          decimals: 0,
          none: '0',
        },
        { title: 'Oldest', expr: maxBy(PER_PROCESS, attemptAge), unit: 's' },
        { title: 'Idle', expr: maxBy(PER_PROCESS, idle), unit: 's' },
        { title: 'Stall timeout', expr: maxBy(PER_PROCESS, stallTimeout), unit: 's', none: 'none' },
        {
          title: 'Idle of stall timeout',
          expr: idleShare,
          unit: 'percentunit',
          decimals: 0,
          thresholds: badAbove(0.8, 1),
          none: '-',
        },
        { title: 'Time left', expr: minBy(PER_PROCESS, timeLeft), unit: 's', none: 'no timeout' },
      ],
      sortBy: 'Idle',
      links: attemptsOf,
    },
  ),
  table(
    {
      title: 'Gates that wait for a person',
      description: 'Open gates and how long the oldest one of each node has been waiting.',
      empty: 'No gate waits for a person',
    },
    {
      keys: [
        [pipelineName, 'Pipeline'],
        [taskName, 'Gate'],
      ],
      columns: [
        { title: 'Open', expr: `${openNow('gatesOpen', { by: NODE })} > 0`, decimals: 0 },
        { title: 'Waiting for', expr: maxBy(NODE, gateAge), unit: 's' },
      ],
      sortBy: 'Waiting for',
      links: spanLinks('Runs of this pipeline', { place: 'table', spans: 'open run', pipeline: pipelineName }),
      width: 12,
    },
  ),
  table(
    {
      title: 'Processes with open runs',
      description:
        'Each process that runs something, by the name under which it reports. A heartbeat older than 60 s: the process is gone or cannot send. `spanwright recover` ends what a dead one left behind.',
      empty: 'No process has open runs',
    },
    {
      keys: [['instance', 'Process']],
      columns: [
        {
          title: 'Heartbeat age',
          expr: maxBy(['instance'], alive(recorded('heartbeatAge'))),
          unit: 's',
          decimals: 0,
          thresholds: badAbove(30, 60),
        },
        { title: 'Runs open', expr: `${openNow('runsOpen', { by: ['instance'] })} > 0`, decimals: 0 },
        {
          title: 'Attempts open',
          expr: `${openNow('attemptsOpen', { by: ['instance'] })} > 0`,
          decimals: 0,
          none: '0',
        },
      ],
      sortBy: 'Heartbeat age',
      width: 12,
    },
  ),
]

const overTime = [
  lines(
    {
      title: 'Idle time',
      description:
        'Time without progress of the most idle open attempt of each node. A line that climbs without a break is an attempt that hangs.',
      empty: 'No attempt was open in this window',
    },
    [{ expr: maxBy(NODE, idle), legend: byNode }],
    { unit: 's' },
  ),
  lines(
    {
      title: 'Heartbeat age',
      description:
        'Age of the last heartbeat of each process with open runs. Below 15 s is normal; from 60 s the process is lost.',
      empty: 'No run was open in this window',
    },
    [{ expr: maxBy(['instance'], alive(recorded('heartbeatAge'))), legend: '{{instance}}' }],
    { unit: 's' },
  ),
  lines(
    {
      title: 'Waiting for a limit',
      description: 'Attempts that waited for a limit of a provider, by node: the most at once in each interval.',
      empty: 'No attempt was open in this window',
    },
    [{ expr: openAtMost('attemptsWaiting', { by: NODE }), legend: byNode }],
    { stacked: true, decimals: 0 },
  ),
  lines(
    {
      title: 'Gates open',
      description: 'Gates that waited for a person, by node: the most at once in each interval.',
      empty: 'No pipeline with a gate ran in this window',
    },
    [{ expr: openAtMost('gatesOpen', { by: NODE }), legend: byNode }],
    { stacked: true, decimals: 0 },
  ),
  lines(
    {
      title: 'Budgets used',
      description:
        'Used share of each budget of runs that were open, the highest over processes; without a node it is the budget of the run. At 100 % its attempts are ended (mode enforce) or it is only said (mode audit).',
      empty: 'No run with a budget was open in this window',
    },
    [
      {
        expr: maxBy([...NODE, budgetKind], shown('budgetUsed')),
        legend: `${legendOf(budgetKind)} ${byNode}`,
      },
    ],
    { unit: 'percentunit', decimals: 0 },
  ),
  lines(
    {
      title: 'Breakers open',
      description: 'Nodes that the breaker stopped, while their run was still open.',
      empty: 'No breaker was open in this window',
    },
    [{ expr: openAtMost('breakerOpen', { by: NODE }), legend: byNode }],
    { stacked: true, decimals: 0, hue: FAILING },
  ),
]

export const stuck: Board = {
  uid: 'spanwright-stuck',
  title: 'Stuck and waiting',
  description: 'Idle attempts, gates, limits, budgets, and processes that went silent.',
  variables: ['pipeline', 'node'],
  rows: [
    { title: 'Now', panels: figures },
    { title: 'What is open', panels: open },
    { title: 'Over time', panels: overTime },
  ],
}
