// Owns: the stack as text: a row per part, the figures below, the links after a start. Pure.
import { bytes, count, counted } from '../terminal/amounts.ts'
import { glyphPiece, line, piece, roleOf, type Look, type Mark, type Piece } from '../terminal/style.ts'
import { cleanLine, wrap } from '../terminal/text.ts'
import type { Address } from './addresses.ts'
import type { Explained } from './explain.ts'
import type { Figures, QueueFill } from './figures.ts'
import type { PartId } from './parts.ts'
import type { PartState } from './probe.ts'

const MARKS = { up: 'success', starting: 'running', down: 'failure', broken: 'error' } as const satisfies Record<
  PartState,
  Mark
>
const NAME_COLUMNS = 14
const STATE_COLUMNS = 10
/** From here on a queue is worth a look: what it cannot take is pushed back to the sender. */
const QUEUE_WARNING = 0.8
const ALERTS_SHOWN = 10

/** A row for each part; under one that is not up: why, the end of its log, what to do. */
export function renderParts(reports: readonly Explained[], look: Look): string[] {
  return reports.flatMap((report) => {
    const mark = MARKS[report.state]
    const head = [
      piece(' '),
      glyphPiece(mark, look),
      piece(` ${report.part.name.padEnd(NAME_COLUMNS)}`, ...(report.state === 'up' ? [] : (['bold'] as const))),
      piece(report.state.padEnd(STATE_COLUMNS), roleOf(mark)),
    ]
    return [
      line(head, [piece(cleanLine(report.url), 'dim')], look),
      ...below(report.reason, [], look),
      ...report.log.flatMap((text) => [line([piece('     '), piece(`| ${text}`, 'dim')], [], look)]),
      ...below(report.advice, ['dim'], look),
    ]
  })
}

const below = (text: string | undefined, roles: Piece['roles'], look: Look): string[] =>
  text === undefined
    ? []
    : wrap(cleanLine(text), Math.max(20, look.columns - 5)).map((part) =>
        line([piece('     '), piece(part, ...(roles ?? []))], [], look),
      )

/** Queues, losses, alerts, disk. What is not known is said to be not known. */
export function renderFigures(figures: Figures, look: Look): string[] {
  return [
    ...labeled('queues', queuePieces(figures), look),
    ...labeled('last hour', lossPieces(figures), look),
    ...labeled('alerts', alertPieces(figures), look),
    ...labeled(
      'disk',
      figures.prometheusBytes === undefined
        ? [UNKNOWN]
        : [[piece(`${bytes(figures.prometheusBytes)} of samples in Prometheus`)]],
      look,
    ),
  ]
}

const LABEL_COLUMNS = 12
const labeled = (label: string, rows: readonly (readonly Piece[])[], look: Look): string[] =>
  rows.map((pieces, index) =>
    line([piece(' '), piece((index === 0 ? label : '').padEnd(LABEL_COLUMNS), 'dim'), ...pieces], [], look),
  )

const UNKNOWN = [
  piece('not known: Prometheus has not asked the collector, or the collector has not answered it', 'dim'),
]
const UNANSWERED = [piece('not known: Prometheus did not answer', 'dim')]

/** What stands there when there is no Prometheus to ask. */
export const renderNoFigures = (look: Look): string =>
  line([piece(' Queues, losses and alerts are not known: that is asked of Prometheus.', 'dim')], [], look)

function queuePieces({ queues }: Figures): (readonly Piece[])[] {
  if (!queues) return [UNKNOWN]
  const width = Math.max(...queues.map((queue) => nameOf(queue).length))
  return queues.map((queue) => {
    const full = fillOf(queue)
    const role = full >= 1 ? (['bad'] as const) : full >= QUEUE_WARNING ? (['warn'] as const) : []
    const percent = `${Math.round(full * 100)} %`.padStart(6)
    const note = full >= QUEUE_WARNING ? '   its receiver is down or too slow' : ''
    return [
      piece(`${nameOf(queue).padEnd(width)} `),
      piece(percent, ...role),
      piece(` of ${count(queue.capacity)}`, 'dim'),
      piece(note, ...role),
    ]
  })
}

const nameOf = ({ exporter, signal }: QueueFill): string => cleanLine(`${exporter} ${signal}`)

/** Share of the queue that is taken, 0 to 1; 0 where its capacity is not known. */
export const fillOf = ({ size, capacity }: QueueFill): number => (capacity > 0 ? size / capacity : 0)

function lossPieces({ refused, undelivered }: Figures): (readonly Piece[])[] {
  if (refused === undefined || undelivered === undefined) return [UNKNOWN]
  return [
    [
      piece(`${count(refused)} refused (sent again)`, ...(refused > 0 ? (['warn'] as const) : [])),
      piece(', '),
      piece(`${count(undelivered)} not delivered (lost)`, ...(undelivered > 0 ? (['bad'] as const) : [])),
    ],
  ]
}

function alertPieces({ alerts }: Figures): (readonly Piece[])[] {
  if (!alerts) return [UNANSWERED]
  if (alerts.length === 0) return [[piece('none fires')]]
  const rows = alerts
    .slice(0, ALERTS_SHOWN)
    .map(({ name, severity, count: times }) => [
      piece(cleanLine(name), severity === 'page' ? 'bad' : 'warn'),
      piece(` ${cleanLine(severity)}${times > 1 ? `, ${counted(times, 'time')}` : ''}`, 'dim'),
    ])
  const more = alerts.length - rows.length
  return more > 0 ? [...rows, [piece(`and ${more} more`, 'dim')]] : rows
}

const LINKS: readonly PartId[] = ['jaeger', 'grafana', 'prometheus', 'alertmanager', 'otlp']

/** The five links and the line that makes runs go there. */
export function renderLinks(addresses: readonly Address[], look: Look): string[] {
  const urlOf = (id: PartId): string => addresses.find(({ part }) => part.id === id)?.url ?? ''
  const rows = LINKS.map((id) => {
    const { name } = addresses.find(({ part }) => part.id === id)!.part
    return line([piece(` ${name.padEnd(NAME_COLUMNS)} `, 'dim'), piece(urlOf(id))], [], look)
  })
  return [...rows, '', `export OTEL_EXPORTER_OTLP_ENDPOINT=${urlOf('otlp')}`]
}
