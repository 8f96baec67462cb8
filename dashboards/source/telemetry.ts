// Owns: the dashboard about the way of the numbers themselves: from the journal over the collector to Jaeger and
// Prometheus. The names of foreign series are those of the versions in .env.
import { ATTR } from '../../src/telemetry/names.ts'
import type { Board } from './board.ts'
import { badAbove, FAILING, fromOne, neutral } from './colors.ts'
import { bars, figure, lines, table } from './panels.ts'
import { ANY, BAR, foreignIncrease, foreignRate, maxBy, nowOf, orZero, shown, sumBy, total } from './promql.ts'
import { labelOf } from './series.ts'

const { telemetrySignal, pipelineName } = ATTR
const COLLECTOR = 'job="otel-collector"'
const PROMETHEUS_JOB = 'job="prometheus"'
const PROCESS = { instance: '=~"$instance"' }
/** What a process that has ended said last is no backlog: it may have been delivered right after. */
const HAS_OPEN_RUNS = `${sumBy(['instance'], nowOf('runsOpen', { where: { [pipelineName]: ANY } }))} > 0`
const queueShare = `otelcol_exporter_queue_size{${COLLECTOR}} / (otelcol_exporter_queue_capacity{${COLLECTOR}} > 0)`
const SIGNALS = ['spans', 'metric_points', 'log_records']
const REFUSED = SIGNALS.map((signal) => `otelcol_receiver_refused_${signal}{${COLLECTOR}}`)
const LOST = SIGNALS.flatMap((signal) =>
  ['send', 'enqueue'].map((step) => `otelcol_exporter_${step}_failed_${signal}{${COLLECTOR}}`),
)

/** Counters of signals have the same labels, so each is asked for on its own; 0 for one that does not exist yet. */
const added = (series: readonly string[], each: (series: string) => string): string =>
  series.map((one) => `(${orZero(each(one))})`).join(' + ')

const figures = [
  figure(
    {
      title: 'Journal backlog',
      description:
        'Journal entries of running processes whose spans are not delivered yet. It goes up and down; one that only grows means that spans do not leave. Nothing is lost: the journal holds it.',
      empty: 'no process has reported',
    },
    orZero(`sum(${nowOf('telemetryBacklog', { where: PROCESS })} and on (instance) ${HAS_OPEN_RUNS})`),
  ),
  figure(
    {
      title: 'Refused for good',
      description:
        'Spans, log records and data points that a receiver refused for good in the time range: they are not sent again. The answer stands in log.ndjson of the run.',
      empty: 'nothing was refused',
    },
    orZero(total('telemetryRefused', { where: PROCESS })),
    { thresholds: fromOne(FAILING) },
  ),
  figure(
    {
      title: 'Collector queue',
      description:
        'How full the fullest queue of the collector is. It fills while Jaeger or Prometheus is away; at 100 % the collector pushes back and orchestrators keep what they could not send.',
      empty: 'the collector is not scraped',
    },
    `max(${queueShare})`,
    { unit: 'percentunit', decimals: 1, max: 1, thresholds: badAbove(0.5, 0.8) },
  ),
  figure(
    {
      title: 'Refused by the collector',
      description:
        'Spans, points and log records that the collector refused to take in the time range (memory or queue full). Senders repeat, so this is delay, not loss.',
      empty: 'nothing was refused',
    },
    added(REFUSED, foreignIncrease),
    { thresholds: fromOne('orange') },
  ),
  figure(
    {
      title: 'Lost by the collector',
      description:
        'Spans, points and log records that the collector gave up on in the time range: refused for good by Jaeger or Prometheus, or no room in the queue. The reason stands in the log of the collector.',
      empty: 'nothing was lost',
    },
    added(LOST, foreignIncrease),
    { thresholds: fromOne(FAILING) },
  ),
  figure(
    {
      title: 'Too late for Prometheus',
      description:
        'Samples older than the window in which Prometheus takes late ones (out_of_order_time_window in collector/prometheus.yml), in the time range. They are missing in every chart; final.json and Jaeger have them.',
      empty: 'Prometheus is not scraped',
    },
    foreignIncrease(`prometheus_tsdb_too_old_samples_total{${PROMETHEUS_JOB}}`),
    { thresholds: fromOne(FAILING) },
  ),
  figure(
    {
      title: 'Late samples taken',
      description:
        'Samples that arrived out of order and were stored all the same: deliveries after an outage, and several processes at once. Normal.',
      empty: 'Prometheus is not scraped',
    },
    foreignIncrease(`prometheus_tsdb_head_out_of_order_samples_appended_total{${PROMETHEUS_JOB}}`),
  ),
  figure(
    {
      title: 'Servers down',
      description:
        'Servers of the stack that Prometheus could not scrape just now. `spanwright stack status` says which and why.',
      empty: 'Prometheus scrapes nothing',
    },
    'count(up == 0) or 0 * count(up)',
    { thresholds: fromOne(FAILING) },
  ),
]

const way = [
  lines(
    {
      title: 'Journal backlog',
      description: 'Journal entries whose spans are not delivered yet, by process.',
      empty: 'No process ran in this window',
    },
    [{ expr: maxBy(['instance'], shown('telemetryBacklog', { where: PROCESS })), legend: '{{instance}}' }],
  ),
  bars(
    {
      title: 'Refused for good',
      description:
        'What a receiver refused for good in each interval, by signal. A wrong endpoint, a limit of size or missing rights are the usual reasons.',
      empty: 'Nothing was refused in this window',
    },
    [
      {
        expr: total('telemetryRefused', { by: [telemetrySignal], where: PROCESS, window: BAR }),
        legend: `{{${labelOf(telemetrySignal)}}}`,
      },
    ],
    { hue: FAILING },
  ),
  lines(
    {
      title: 'Collector: taken and handed on',
      description:
        'Spans per second that the collector accepted, and that it delivered to each exporter. Apart for long: a queue is filling.',
      empty: 'The collector is not scraped, or has taken nothing yet',
    },
    [
      { expr: foreignRate(`otelcol_receiver_accepted_spans{${COLLECTOR}}`), legend: 'accepted' },
      { expr: foreignRate(`otelcol_exporter_sent_spans{${COLLECTOR}}`, ['exporter']), legend: 'sent to {{exporter}}' },
    ],
    { unit: 'short' },
  ),
  lines(
    {
      title: 'Collector: data points',
      description:
        'Data points per second that the collector accepted, and that it delivered. Those it makes from spans for the Monitor tab are only in the second.',
      empty: 'The collector is not scraped, or has taken nothing yet',
    },
    [
      { expr: foreignRate(`otelcol_receiver_accepted_metric_points{${COLLECTOR}}`), legend: 'accepted' },
      {
        expr: foreignRate(`otelcol_exporter_sent_metric_points{${COLLECTOR}}`, ['exporter']),
        legend: 'sent to {{exporter}}',
      },
    ],
  ),
  lines(
    {
      title: 'Collector queues',
      description: 'How full each queue of the collector is. What is in them is on disk and survives a restart.',
      empty: 'The collector is not scraped',
    },
    [{ expr: queueShare, legend: '{{exporter}} {{data_type}}' }],
    { unit: 'percentunit', decimals: 1, max: 1 },
  ),
  lines(
    {
      title: 'Collector: refused and lost',
      description:
        'Items per second that the collector refused to take (senders repeat) or gave up on (lost). The first failure of a kind is no rate yet: it shows in the figures above.',
      empty: 'The collector refused and lost nothing in this window',
    },
    [
      { expr: added(REFUSED, foreignRate), legend: 'refused (senders repeat)' },
      { expr: added(LOST, foreignRate), legend: 'lost' },
    ],
    { hue: FAILING },
  ),
  lines(
    {
      title: 'Prometheus: answers to deliveries',
      description:
        'Deliveries over OTLP per second by the status Prometheus answered with. 200 is stored; 400 is refused for good (too old, or not valid), 503 is repeated.',
      empty: 'Prometheus is not scraped, or nothing was delivered yet',
    },
    [
      {
        expr: foreignRate(`prometheus_http_requests_total{${PROMETHEUS_JOB}, handler="/api/v1/otlp/v1/metrics"}`, [
          'code',
        ]),
        legend: '{{code}}',
      },
    ],
    { colors: { '200': 'green', '204': 'green', '400': 'red', '503': 'orange' } },
  ),
  lines(
    {
      title: 'Prometheus: late samples',
      description:
        'Samples per second that came out of order and were stored, and those that came too late (missing in the charts).',
      empty: 'Prometheus is not scraped',
    },
    [
      {
        expr: foreignRate(`prometheus_tsdb_head_out_of_order_samples_appended_total{${PROMETHEUS_JOB}}`),
        legend: 'late, stored',
      },
      { expr: foreignRate(`prometheus_tsdb_too_old_samples_total{${PROMETHEUS_JOB}}`), legend: 'too late' },
    ],
    { colors: { 'late, stored': 'blue', 'too late': 'red' } },
  ),
]

const servers = [
  table(
    {
      title: 'Servers',
      description: 'Whether Prometheus could scrape each server just now: 1 is up, 0 is down.',
      empty: 'Prometheus scrapes nothing',
    },
    {
      keys: [
        ['job', 'Server'],
        ['instance', 'Address'],
      ],
      columns: [
        {
          title: 'Up',
          expr: maxBy(['job', 'instance'], 'up'),
          decimals: 0,
          thresholds: [
            { value: null, color: FAILING },
            { value: 1, color: 'green' },
          ],
        },
      ],
      sortBy: 'Up',
      width: 12,
    },
  ),
  table(
    {
      title: 'Processes that report',
      description:
        'Processes of the last two hours by the name under which they report, with the age of their last heartbeat. Those that ended well stay listed.',
      empty: 'No process has reported in the last two hours',
    },
    {
      keys: [['instance', 'Process']],
      columns: [
        {
          title: 'Heartbeat age',
          expr: maxBy(['instance'], `time() - ${nowOf('heartbeat', { where: PROCESS })}`),
          unit: 's',
          decimals: 0,
          thresholds: neutral(),
        },
        {
          title: 'Backlog when last heard',
          expr: maxBy(['instance'], nowOf('telemetryBacklog', { where: PROCESS })),
          decimals: 0,
          none: '0',
        },
      ],
      sortBy: 'Heartbeat age',
      width: 12,
    },
  ),
]

export const telemetry: Board = {
  uid: 'spanwright-telemetry',
  title: 'Telemetry health',
  description: 'The way of the numbers: journal, collector, Jaeger, Prometheus. What is refused, late or lost.',
  variables: ['instance'],
  rows: [
    { title: 'In this window', panels: figures },
    { title: 'The way', panels: way },
    { title: 'Servers and processes', panels: servers },
  ],
}
