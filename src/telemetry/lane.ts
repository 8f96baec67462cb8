// Owns: one signal on its way: queue → batches → receiver, in order, one batch in flight, the position saved after each
// acknowledgement and before the next batch. Works beside the reading; a lane says when the reading must wait for it.
// Must not: know HTTP, files or what its items are.
import { compare, type Coordinate, type Flight, type Progress } from './position.ts'
import { ITEMS, type SendOutcome, type Signal } from './signal.ts'

const FIRST_BACKOFF_MS = 500
const MAX_BACKOFF_MS = 15_000
const ABORTED = Symbol('aborted')

export interface LaneOptions<Item> {
  readonly signal: Signal
  readonly send: (items: readonly Item[], flight: Flight) => Promise<SendOutcome>
  /** Items per request. */
  readonly batchItems: number
  /** Items that wait in memory. */
  readonly queueItems: number
  /** Least time between two batches that are not full. */
  readonly everyMs: number
  /** Whether the reading waits for a receiver that is away. Otherwise the lane gives up, and is caught up later. */
  readonly holds: boolean
  /** What goes on record with a batch before it is sent; `again` = the record of the batch that is repeated. */
  readonly stamp: (end: Coordinate, again: Flight | undefined) => Flight
  readonly progress: Progress
  readonly save: (progress: Progress) => void
  /** An absent receiver is waited for. Otherwise the first failure ends the lane. */
  readonly live: boolean
  readonly abort: AbortSignal
  readonly sleep: (ms: number) => Promise<void>
  readonly now: () => number
  readonly onUnavailable: (message: string) => void
  readonly onAccepted: () => void
  readonly onRefused: (count: number) => void
  readonly warn: (message: string) => void
}

interface Waiting<Item> {
  readonly item: Item
  /** The coordinate after this item. */
  readonly end: Coordinate
}

/** `stopped`: what comes is counted and not sent. `unsupported`: the receiver does not want it. */
type State = 'open' | 'stopped' | 'unsupported'

export class Lane<Item> {
  private readonly options: LaneOptions<Item>
  private readonly aborted: Promise<typeof ABORTED>
  private progress: Progress
  private state: State = 'open'
  private queue: Waiting<Item>[] = []
  /** Items at the front of the queue that go out although they fill no batch. */
  private rest = 0
  private batchItems: number
  private read: Coordinate = { seq: 0, index: 0 }
  private missed = 0
  private failing = false
  private lastBatchMs: number
  private working: Promise<void> | undefined
  private turn = Promise.withResolvers<void>()
  private warnedOf = ''
  delivered = 0
  rejected = 0

  constructor(options: LaneOptions<Item>) {
    this.options = options
    this.progress = options.progress
    this.batchItems = options.batchItems
    this.lastBatchMs = options.now()
    this.aborted = new Promise((resolve) => {
      const stop = (): void => {
        this.close('stopped')
        resolve(ABORTED)
      }
      if (options.abort.aborted) stop()
      else options.abort.addEventListener('abort', stop, { once: true })
    })
  }

  get isOpen(): boolean {
    return this.state === 'open'
  }
  /** The receiver takes this signal, as far as is known. */
  get isWanted(): boolean {
    return this.state !== 'unsupported'
  }
  /** Something is being sent, or the lane waits to try again. */
  get isBusy(): boolean {
    return this.working !== undefined
  }
  /** The receiver did not take the last batch. */
  get isFailing(): boolean {
    return this.failing
  }
  /** Items of the journal so far that the receiver has not got. */
  get pending(): number {
    return this.state === 'unsupported' ? 0 : this.queue.length + this.missed
  }
  /** Everything of the entries up to this seq was delivered. */
  get deliveredSeq(): number {
    const first = this.state === 'open' ? this.queue[0]?.end : this.progress.position
    return (first ?? this.read).seq - 1
  }

  /** What an entry gives. Starts full batches. */
  take(seq: number, items: readonly Item[]): void {
    items.forEach((item, index) => {
      if (compare({ seq, index }, this.progress.position) < 0) return
      if (this.isOpen) this.queue.push({ item, end: { seq, index: index + 1 } })
      else this.missed++
    })
    this.read = { seq: seq + 1, index: 0 }
    if (this.isOpen && !this.options.holds && this.failing && this.isFull) this.close('stopped')
    this.start()
  }

  /** Resolves when there is room for more, or nothing more is sent. */
  async room(): Promise<void> {
    while (this.mustWait) await this.turn.promise
  }
  /** The queue is full, and something is on its way that will make room. */
  get mustWait(): boolean {
    return this.isOpen && this.isFull && this.isBusy
  }

  /** Nothing more is there at the moment: sends what there is, if it is time. */
  poke(): void {
    if (this.isRepeating() || this.options.now() - this.lastBatchMs < this.options.everyMs) return
    this.rest = this.queue.length
    this.start()
  }

  /** Nothing more comes: sends everything. */
  async finish(): Promise<void> {
    this.rest = Number.POSITIVE_INFINITY
    this.start()
    while (this.working) await this.working
  }

  /** Puts the position behind what was read, if all of it was delivered or is not wanted. */
  settled(): void {
    if (this.state === 'stopped' || this.pending > 0) return
    if (compare(this.read, this.progress.position) > 0) this.move(this.read, 0, 0)
  }

  /** Sends something that has no place in the order, once. Only while nothing else is on its way. */
  aside(send: () => Promise<SendOutcome>): void {
    if (this.working || !this.isOpen) return
    this.begin(async () => {
      const outcome = await Promise.race([send(), this.aborted])
      if (outcome !== ABORTED && outcome.kind === 'unavailable') this.options.onUnavailable(outcome.message)
      await this.work()
    })
  }

  /** A receiver that does not take the signal is not tried again; its position goes with what is read. */
  unsupport(): void {
    this.close('unsupported')
  }

  private get isFull(): boolean {
    return this.queue.length >= this.options.queueItems
  }

  private close(state: State): void {
    if (this.state !== 'open') return
    this.state = state
    this.missed += this.queue.length
    this.queue = []
    this.turned()
  }

  private turned(): void {
    this.turn.resolve()
    this.turn = Promise.withResolvers()
  }

  private start(): void {
    if (this.working || this.due() === 0) return
    this.begin(() => this.work())
  }

  private begin(work: () => Promise<void>): void {
    this.working = work().finally(() => {
      this.working = undefined
      this.turned()
    })
  }

  private async work(): Promise<void> {
    for (let count = this.due(); count > 0; count = this.due()) await this.flush(count)
  }

  /** After a kill the batch that was in flight is sent again with the same end, so with the same bytes. */
  private isRepeating(): boolean {
    return this.progress.in_flight !== undefined && compare(this.progress.position, this.progress.in_flight) < 0
  }

  /** How many items at the front make a batch that is due. */
  private due(): number {
    if (!this.isOpen) return 0
    if (this.isRepeating()) {
      const until = this.queue.findIndex(({ end }) => compare(end, this.progress.in_flight!) >= 0)
      if (until >= 0 || Number.isFinite(this.rest)) return until + 1
    }
    return Math.min(
      this.batchItems,
      this.queue.length >= this.batchItems ? this.batchItems : this.rest,
      this.queue.length,
    )
  }

  /** Sends the first `count` items until they are acknowledged or refused. */
  private async flush(count: number): Promise<void> {
    let size = count
    let backoffMs = FIRST_BACKOFF_MS
    while (this.isOpen) {
      const part = this.queue.slice(0, size)
      const flight = this.stamped(part.at(-1)!.end)
      const outcome = await Promise.race([
        this.options.send(
          part.map(({ item }) => item),
          flight,
        ),
        this.aborted,
      ])
      if (outcome === ABORTED || !this.isOpen) return
      if (outcome.kind === 'too_large' && size > 1) {
        size = Math.ceil(size / 2)
        this.batchItems = Math.min(this.batchItems, size)
        continue
      }
      if (outcome.kind === 'unsupported' && this.options.signal !== 'traces') return this.close('unsupported')
      if (outcome.kind !== 'unavailable' && outcome.kind !== 'unsupported') {
        return this.settle(part.length, flight, outcome)
      }
      this.failing = true
      this.options.onUnavailable(outcome.message)
      if (!this.options.live || (!this.options.holds && this.isFull)) return this.close('stopped')
      if ((await Promise.race([this.options.sleep(backoffMs), this.aborted])) === ABORTED) return
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)
    }
  }

  /** On record before it is sent: whoever sends it again must send the same. */
  private stamped(end: Coordinate): Flight {
    const { in_flight } = this.progress
    const again = in_flight && compare(in_flight, end) === 0 ? in_flight : undefined
    const flight = this.options.stamp(end, again)
    if (flight !== again) this.store({ ...this.progress, in_flight: flight })
    return flight
  }

  private settle(count: number, to: Coordinate, outcome: SendOutcome): void {
    const { signal, warn, onRefused, onAccepted } = this.options
    const rejected = outcome.kind === 'accepted' ? Math.min(outcome.rejected, count) : count
    if (rejected > 0)
      warn(`the receiver refused ${rejected} ${ITEMS[signal]} for good: ${outcome.message ?? 'no reason given'}`)
    else if (outcome.message && outcome.message !== this.warnedOf) {
      this.warnedOf = outcome.message
      warn(`the receiver of ${signal} says: ${outcome.message}`)
    }
    this.failing = false
    this.rejected += rejected
    this.delivered += count - rejected
    this.lastBatchMs = this.options.now()
    this.queue.splice(0, count)
    this.rest = Math.max(0, this.rest - count)
    this.move({ seq: to.seq, index: to.index }, count - rejected, rejected)
    if (rejected > 0) onRefused(rejected)
    if (outcome.kind === 'accepted') onAccepted()
    this.turned()
  }

  private move(position: Coordinate, acknowledged: number, rejected: number): void {
    const { in_flight: _, ...progress } = this.progress
    this.store({
      ...progress,
      position,
      acknowledged: progress.acknowledged + acknowledged,
      rejected: progress.rejected + rejected,
    })
  }

  private store(progress: Progress): void {
    this.progress = progress
    this.options.save(progress)
  }
}
