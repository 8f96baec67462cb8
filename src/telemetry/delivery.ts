// Owns: entries → projection → batches → receiver, in order, one batch in flight, the position saved after each
// acknowledgement and before the next batch. Nothing is kept but open spans and one batch: while the receiver is away
// reading stands still. Must not: know HTTP or files.
import type { Entry } from '../core/events.ts'
import type { EntrySource } from './entry-source.ts'
import { compare, type Coordinate, type PositionStore, type Progress } from './position.ts'
import type { Projection } from './projection.ts'
import type { SendOutcome, SpanSender } from './sdk.ts'
import type { SpanRecord } from './span-record.ts'

/** Spans per request: about half a megabyte of JSON. */
const BATCH_SPANS = 512
const FIRST_BACKOFF_MS = 500
const MAX_BACKOFF_MS = 15_000

export interface DeliveryOptions {
  readonly source: EntrySource
  readonly projection: Projection
  readonly sender: SpanSender
  readonly position: PositionStore
  /** A live run: markers are sent, an absent receiver is waited for. Otherwise the first failure ends the delivery. */
  readonly live: boolean
  /** Aborted = stop now and count what is left. */
  readonly signal: AbortSignal
  /** Resolves when it is worth looking for entries again. */
  readonly idle: () => Promise<void>
  readonly sleep: (ms: number) => Promise<void>
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
}

interface Waiting {
  readonly span: SpanRecord
  /** The coordinate after this span. */
  readonly end: Coordinate
}

const ABORTED = Symbol('aborted')

/** Sends what the journal holds beyond the position, until the source ends or the signal is aborted. Throws what the
 * source throws, never for what the receiver does. */
export async function deliver(options: DeliveryOptions): Promise<Delivered> {
  const delivery = new Delivery(options)
  try {
    return await delivery.run()
  } finally {
    options.source.close()
  }
}

class Delivery {
  private readonly options: DeliveryOptions
  private readonly aborted: Promise<typeof ABORTED>
  private progress: Progress
  private batch: Waiting[] = []
  private batchLimit = BATCH_SPANS
  /** The coordinate after the last entry that was read. */
  private read: Coordinate = { seq: 0, index: 0 }
  private delivered = 0
  private rejected = 0
  private stopped = false
  private warnedOf = ''

  constructor(options: DeliveryOptions) {
    this.options = options
    this.progress = options.position.load()
    this.aborted = new Promise((resolve) => {
      if (options.signal.aborted) resolve(ABORTED)
      else options.signal.addEventListener('abort', () => resolve(ABORTED), { once: true })
    })
  }

  async run(): Promise<Delivered> {
    const { source, options } = { source: this.options.source, options: this.options }
    while (!this.stopped) {
      const entries = await source.next()
      for (const entry of entries) {
        if (this.stopped) this.collect(entry)
        else await this.take(entry)
      }
      if (entries.length > 0 || this.stopped) continue
      if (source.ended || !this.isRepeating()) await this.flushAll()
      if (source.ended || this.stopped) break
      await this.sendMarkers()
      if ((await Promise.race([options.idle(), this.aborted])) === ABORTED) this.stopped = true
    }
    if (!this.stopped) this.saveDrained()
    return { delivered: this.delivered, rejected: this.rejected, pending: await this.countPending() }
  }

  /** After a kill the batch that was in flight is sent again with the same end, so with the same bytes. */
  private isRepeating(): boolean {
    return this.progress.in_flight !== undefined && compare(this.progress.position, this.progress.in_flight) < 0
  }

  private collect(entry: Entry): void {
    this.options.projection.apply(entry).forEach((span, index) => {
      if (compare({ seq: entry.seq, index }, this.progress.position) >= 0) {
        this.batch.push({ span, end: { seq: entry.seq, index: index + 1 } })
      }
    })
    this.read = { seq: entry.seq + 1, index: 0 }
  }

  private async take(entry: Entry): Promise<void> {
    this.collect(entry)
    for (let count = this.fullBatch(); count > 0 && !this.stopped; count = this.fullBatch()) await this.flush(count)
  }

  /** How many spans at the front make a batch that is due, 0 = none. */
  private fullBatch(): number {
    if (this.isRepeating()) {
      const until = this.batch.findIndex(({ end }) => compare(end, this.progress.in_flight!) >= 0)
      return until + 1
    }
    return this.batch.length >= this.batchLimit ? this.batchLimit : 0
  }

  private async flushAll(): Promise<void> {
    while (this.batch.length > 0 && !this.stopped)
      await this.flush(this.fullBatch() || Math.min(this.batch.length, this.batchLimit))
  }

  /** Sends the first `count` spans until they are acknowledged or refused. */
  private async flush(count: number): Promise<void> {
    let size = count
    let backoffMs = FIRST_BACKOFF_MS
    for (;;) {
      const part = this.batch.slice(0, size)
      const to = part.at(-1)!.end
      this.save({ ...this.progress, in_flight: to })
      const outcome = await Promise.race([this.options.sender.send(part.map(({ span }) => span)), this.aborted])
      if (outcome === ABORTED) return this.stop()
      if (outcome.kind === 'too_large' && size > 1) {
        size = Math.ceil(size / 2)
        this.batchLimit = Math.min(this.batchLimit, size)
        continue
      }
      if (outcome.kind !== 'unavailable') return this.settle(part.length, to, outcome)
      this.warnOnce(`traces cannot be delivered: ${outcome.message}`)
      if (!this.options.live) return this.stop()
      if ((await Promise.race([this.options.sleep(backoffMs), this.aborted])) === ABORTED) return this.stop()
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)
    }
  }

  private settle(count: number, to: Coordinate, outcome: SendOutcome): void {
    const rejected = outcome.kind === 'accepted' ? Math.min(outcome.rejected, count) : count
    if (rejected > 0)
      this.options.warn(`the receiver refused ${rejected} spans for good: ${outcome.message ?? 'no reason given'}`)
    else if (outcome.message) this.warnOnce(`the receiver of traces says: ${outcome.message}`)
    this.rejected += rejected
    this.delivered += count - rejected
    const { in_flight: _, ...progress } = this.progress
    this.save({
      ...progress,
      position: to,
      acknowledged: progress.acknowledged + count - rejected,
      rejected: progress.rejected + rejected,
    })
    this.batch.splice(0, count)
    if (outcome.kind === 'accepted') this.warnedOf = ''
  }

  /** Markers have no place in the order: they are tried once, and a repetition of a batch never holds one. */
  private async sendMarkers(): Promise<void> {
    if (!this.options.live) return
    const markers = this.options.projection.markersDue(this.options.now() * 1_000)
    if (markers.length === 0) return
    const outcome = await Promise.race([this.options.sender.send(markers), this.aborted])
    if (outcome === ABORTED) this.stop()
    else if (outcome.kind === 'unavailable') this.warnOnce(`traces cannot be delivered: ${outcome.message}`)
  }

  private saveDrained(): void {
    const { in_flight: _, ...progress } = this.progress
    if (compare(this.read, progress.position) > 0) this.save({ ...progress, position: this.read })
  }

  private async countPending(): Promise<number> {
    let pending = this.batch.length
    if (!this.stopped) return pending
    this.batch = []
    for (
      let entries = await this.options.source.next();
      entries.length > 0;
      entries = await this.options.source.next()
    ) {
      for (const entry of entries) pending += this.options.projection.apply(entry).length
    }
    return pending
  }

  private save(progress: Progress): void {
    this.progress = progress
    this.options.position.save(progress)
  }

  private stop(): void {
    this.stopped = true
  }

  private warnOnce(message: string): void {
    if (this.warnedOf === message) return
    this.warnedOf = message
    this.options.warn(message)
  }
}
