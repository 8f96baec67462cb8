// Owns: entries → spans, log records and measurements → one lane for each signal. One reader for all: it starts at the
// beginning, each lane leaves out what is behind its position. Nothing is kept but open spans and what waits in lanes.
// Must not: know HTTP or files.
import type { Entry } from '../core/events.ts'
import type { EntrySource } from './entry-source.ts'
import { GaugePush, type InstanceSource } from './gauge-push.ts'
import { Lane, type LaneOptions } from './lane.ts'
import type { LogRecord } from './log-record.ts'
import type { Measurement } from './measurement.ts'
import type { Measurements } from './measurements.ts'
import { MetricClock } from './metric-clock.ts'
import type { PositionStore } from './position.ts'
import type { Projection } from './projection.ts'
import type { Senders } from './senders.ts'
import type { SendOutcome, Signal } from './signal.ts'
import type { SpanRecord } from './span-record.ts'

/** Spans per request: about half a megabyte of JSON. */
const BATCH_SPANS = 512
const BATCH_LOGS = 512
const QUEUED_LOGS = 5_000
/** Log records are for reading along. */
const LOGS_EVERY_MS = 1_000
/** Measurements per request: in the worst case each is a data point of half a kilobyte. */
const BATCH_MEASUREMENTS = 5_000
const QUEUED_MEASUREMENTS = 20_000

const SPANS_FIRST_MS = 250
/** How often a lane that holds the reading lets gauges through. */
const HELD_MS = 1_000

export interface DeliveryOptions {
  readonly source: EntrySource
  readonly projection: Projection
  readonly measurements: Measurements
  readonly senders: Senders
  readonly position: PositionStore
  readonly instance: InstanceSource
  readonly metricIntervalMs: number
  /** Last committed seq; only of a live run. Then markers and gauges are sent, and an absent receiver is waited for;
   * otherwise the first failure ends a lane. */
  readonly committed?: (() => number) | undefined
  /** Aborted = stop now and count what is left. */
  readonly signal: AbortSignal
  /** Resolves when it is worth looking for entries again. */
  readonly idle: () => Promise<void>
  readonly sleep: (ms: number) => Promise<undefined>
  /** Epoch ms. */
  readonly now: () => number
  readonly warn: (message: string) => void
}

export interface Delivered {
  /** Spans the receiver acknowledged in this delivery. */
  readonly delivered: number
  /** Spans it refused for good. */
  readonly rejected: number
  /** Spans of the journal so far that it has not got. */
  readonly pending: number
  /** The other signals that are not delivered to the end; absent = none. */
  readonly unfinished?: readonly Signal[]
}

/** Sends what the journal holds beyond the positions, until the source ends or the signal is aborted. Throws what the
 * source throws, never for what a receiver does. */
export async function deliver(options: DeliveryOptions): Promise<Delivered> {
  const delivery = new Delivery(options)
  try {
    return await delivery.run()
  } finally {
    options.source.close()
  }
}

type AnyLane = Lane<SpanRecord> | Lane<LogRecord> | Lane<Measurement>

class Delivery {
  private readonly options: DeliveryOptions
  private readonly traces: Lane<SpanRecord> | undefined
  private readonly logs: Lane<LogRecord> | undefined
  private readonly metrics: Lane<Measurement> | undefined
  private readonly lanes: readonly AnyLane[]
  private readonly gauges: GaugePush | undefined
  private readonly warnedOf = new Map<Signal, string>()
  /** The last entry that was read. */
  private seq = 0

  constructor(options: DeliveryOptions) {
    this.options = options
    const { senders } = options
    const clock = new MetricClock(options)
    if (senders.traces) {
      const { traces } = senders
      this.traces = this.lane('traces', {
        send: (spans) => traces(spans),
        batchItems: BATCH_SPANS,
        queueItems: BATCH_SPANS,
        everyMs: 0,
        holds: true,
      })
    }
    if (senders.logs) {
      const { logs } = senders
      this.logs = this.lane('logs', {
        send: (records) => logs(records),
        batchItems: BATCH_LOGS,
        queueItems: QUEUED_LOGS,
        everyMs: LOGS_EVERY_MS,
        holds: false,
      })
    }
    if (senders.metrics) {
      const { metrics } = senders
      this.metrics = this.lane('metrics', {
        send: (measurements, flight) => metrics.send(clock.batchOf(measurements, flight)),
        stamp: (end, again) => clock.stamp(end, again),
        batchItems: BATCH_MEASUREMENTS,
        queueItems: QUEUED_MEASUREMENTS,
        everyMs: options.metricIntervalMs,
        holds: false,
      })
      this.gauges = new GaugePush({
        ...options,
        live: options.committed !== undefined,
        send: metrics.sendGauges,
        clock,
      })
    }
    this.lanes = [this.traces, this.logs, this.metrics].filter((lane) => lane !== undefined)
  }

  private lane<Item>(
    signal: Signal,
    own: Pick<LaneOptions<Item>, 'send' | 'batchItems' | 'queueItems' | 'everyMs' | 'holds'> &
      Partial<Pick<LaneOptions<Item>, 'stamp'>>,
  ): Lane<Item> {
    const { position, warn, committed, now, sleep, signal: abort } = this.options
    return new Lane({
      signal,
      progress: position.load(signal),
      save: (progress) => position.save(signal, progress),
      live: committed !== undefined,
      stamp: (end, again) => again ?? end,
      abort,
      sleep,
      now,
      warn,
      onUnavailable: (message) => this.unavailable(signal, message),
      onAccepted: () => void this.warnedOf.delete(signal),
      onRefused: (count) => this.gauges?.countRefused(signal, count),
      ...own,
    })
  }

  async run(): Promise<Delivered> {
    const { source, signal, idle } = this.options
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    for (;;) {
      const entries = await source.next()
      for (const entry of entries) {
        this.take(entry)
        for (const lane of this.lanes) if (lane.mustWait) await this.waitFor(lane)
      }
      // The reading may go on for long without a rest.
      if (this.options.committed) for (const lane of [this.logs, this.metrics]) lane?.poke()
      if (entries.length > 0) continue
      if (source.ended) break
      this.rest()
      if (!signal.aborted) await Promise.race([idle(), aborted])
    }
    await this.finish()
    return this.delivered()
  }

  private take(entry: Entry): void {
    const { projection, measurements } = this.options
    const spans = projection.apply(entry)
    this.traces?.take(entry.seq, spans)
    this.logs?.take(entry.seq, projection.logs)
    if (this.metrics) this.metrics.take(entry.seq, measurements.apply(entry))
    this.seq = entry.seq
  }

  /** A receiver that is away holds the reading; that the process lives is said all the same. */
  private async waitFor(lane: AnyLane): Promise<void> {
    const room = lane.room().then(() => true)
    while (!(await Promise.race([room, this.options.sleep(HELD_MS)]))) this.pushGauges(true)
  }

  /** Everything that is committed was read. */
  private rest(): void {
    this.sendMarkers()
    this.traces?.poke()
    this.pushGauges(false)
  }

  /** Before the spans of this moment: where something ends all the time they would never have their turn. */
  private sendMarkers(): void {
    const { committed, projection, senders, now } = this.options
    if (committed === undefined || !this.traces || this.traces.isBusy) return
    const markers = projection.markersDue(now() * 1_000)
    if (markers.length > 0) this.traces.aside(() => senders.traces!(markers))
  }

  private pushGauges(behind: boolean): void {
    const { committed } = this.options
    if (committed === undefined || !this.metrics?.isWanted || this.seq === 0) return
    const backlog = this.traces ? Math.max(0, committed() - this.traces.deliveredSeq) : 0
    void this.gauges!.push({ backlog, behind }).then((outcome) => this.noticed(outcome))
  }

  private noticed(outcome: SendOutcome | undefined): void {
    if (outcome?.kind === 'unsupported') this.metrics!.unsupport()
    if (outcome?.kind === 'unavailable') this.unavailable('metrics', outcome.message)
  }

  private async finish(): Promise<void> {
    const traces = this.traces?.finish()
    // A short run does all its loading and sending now, in the two seconds that its end may take: spans have the way
    // to themselves, unless they are stuck.
    if (this.options.committed) await Promise.race([traces, this.options.sleep(SPANS_FIRST_MS)])
    await Promise.all([traces, this.logs?.finish(), this.finishMetrics()])
    this.traces?.settled()
    // Where nothing at all is found behind an endpoint, "unknown here" says nothing about a signal.
    const found = (this.traces?.pending ?? 0) === 0
    for (const lane of [this.logs, this.metrics]) if (found || lane?.isOpen) lane?.settled()
  }

  private async finishMetrics(): Promise<void> {
    await this.metrics?.finish()
    if (this.metrics?.isWanted) this.noticed(await this.gauges!.close())
    if (this.metrics?.isWanted === false) this.gauges!.abandon()
  }

  private delivered(): Delivered {
    const others = { logs: this.logs, metrics: this.metrics }
    const unfinished = (['logs', 'metrics'] as const).filter((signal) => (others[signal]?.pending ?? 0) > 0)
    return {
      delivered: this.traces?.delivered ?? 0,
      rejected: this.traces?.rejected ?? 0,
      pending: this.traces?.pending ?? 0,
      ...(unfinished.length > 0 ? { unfinished } : {}),
    }
  }

  /** Said once until something goes through. Where traces fail too, the others have nothing to add. */
  private unavailable(signal: Signal, message: string): void {
    if (signal !== 'traces' && this.traces && (this.traces.isFailing || this.traces.delivered === 0)) return
    if (this.warnedOf.get(signal) === message) return
    this.warnedOf.set(signal, message)
    this.options.warn(`${signal} cannot be delivered: ${message}`)
  }
}
