// Owns: the numbers that are so at a moment: when they are shown, under whose name, and that they are taken back at the
// end. They have no position: what is not shown now is shown at the next time.
import type { Instance } from './instance-slot.ts'
import type { GaugePoint, Measurement } from './measurement.ts'
import type { Measurements } from './measurements.ts'
import type { MetricClock } from './metric-clock.ts'
import type { MetricKey } from './metric-names.ts'
import { ATTR } from './names.ts'
import type { GaugeBatch } from './metric-points.ts'
import type { PositionStore } from './position.ts'
import type { SendOutcome, Signal } from './signal.ts'

/** Who sends metrics in this process. */
export interface InstanceSource {
  /** The first call takes a slot. */
  own(): Instance
  /** The gauges of an instance were closed: somebody else may have its slot. */
  release(instance: Instance): void
}

export interface GaugePushOptions {
  readonly measurements: Pick<Measurements, 'gauges' | 'closing'>
  readonly send: (batch: GaugeBatch) => Promise<SendOutcome>
  readonly clock: MetricClock
  readonly instance: InstanceSource
  readonly position: PositionStore
  readonly metricIntervalMs: number
  /** A live run shows gauges; otherwise only those of a process that died are closed. */
  readonly live: boolean
  readonly signal: AbortSignal
  readonly sleep: (ms: number) => Promise<void>
  readonly now: () => number
}

/** Times that alerts compare with the heartbeat. */
const COMPARED: readonly MetricKey[] = ['oldestProgress', 'attemptDeadline', 'gateOldest']
/** At the end: until the time is over. */
const AGAIN_MS = 250

export class GaugePush {
  private readonly options: GaugePushOptions
  private readonly aborted: Promise<undefined>
  /** What receivers refused and was not reported yet. */
  private readonly refused = new Map<Signal, number>()
  private lastLook: { readonly points: readonly GaugePoint[]; readonly atMs: number } | undefined
  private dueMs = 0
  private pushing: Promise<unknown> | undefined
  /** Gauges of this process may stand somewhere. */
  private shown = false

  constructor(options: GaugePushOptions) {
    this.options = options
    this.aborted = new Promise((resolve) => {
      if (options.signal.aborted) resolve(undefined)
      else options.signal.addEventListener('abort', () => resolve(undefined), { once: true })
    })
  }

  countRefused(signal: Signal, count: number): void {
    this.refused.set(signal, (this.refused.get(signal) ?? 0) + count)
  }

  /**
   * Shows how things are, if it is time. `behind`: not everything that is committed was read, so that of the run
   * nothing new can be said but that its process lives.
   */
  async push({ backlog, behind }: { backlog: number; behind: boolean }): Promise<SendOutcome | undefined> {
    const nowMs = this.options.now()
    if (nowMs < this.dueMs || this.pushing) return undefined
    this.dueMs = nowMs + this.options.metricIntervalMs
    const gauges: GaugePoint[] = [
      { metric: 'telemetryBacklog', value: backlog, attributes: {} },
      ...(behind ? this.unchanged(nowMs) : this.look(nowMs)),
    ]
    const pushing = this.showOwn(gauges, behind)
    this.pushing = pushing
    const outcome = await pushing
    this.pushing = undefined
    return outcome
  }

  private look(nowMs: number): readonly GaugePoint[] {
    this.lastLook = { points: this.options.measurements.gauges(nowMs * 1_000), atMs: nowMs }
    return this.lastLook.points
  }

  /**
   * The process lives, and what is compared with its heartbeat moves with it: what nobody has looked at since must not
   * seem idle, overdue or waiting for longer.
   */
  private unchanged(nowMs: number): GaugePoint[] {
    const { points, atMs } = this.lastLook ?? { points: [], atMs: nowMs }
    return [
      { metric: 'heartbeat', value: nowMs / 1_000, attributes: {} },
      ...points
        .filter(({ metric }) => COMPARED.includes(metric))
        .map((point) => ({ ...point, value: point.value + (nowMs - atMs) / 1_000 })),
    ]
  }

  private async showOwn(gauges: readonly GaugePoint[], behind: boolean): Promise<SendOutcome | undefined> {
    const { instance, position } = this.options
    const own = instance.own()
    const former = position.instance
    if (former && former.id !== own.id && !behind) {
      const outcome = await this.closeFormer(former)
      if (position.instance) return outcome
    }
    // On record before they are shown: if this process dies now, somebody has to know whose they are.
    if (!position.instance) position.instance = own
    const outcome = await this.show(gauges, own.id)
    // Without an answer nobody knows.
    if (outcome === undefined || outcome.kind === 'accepted') this.shown = true
    return outcome
  }

  /** At the end of a run every open count is 0; of a run whose process died, those that it showed. */
  async close(): Promise<SendOutcome | undefined> {
    const { live, instance, position } = this.options
    await Promise.race([this.pushing, this.aborted])
    if (live) return this.closeOwn()
    const outcome = position.instance && (await this.closeFormer(position.instance))
    return this.refused.size > 0 ? this.show([], instance.own().id) : outcome
  }

  /** Nobody wants to see gauges. */
  abandon(): void {
    if (this.options.position.instance) this.forget(this.options.position.instance)
    if (this.options.live) this.forget(this.options.instance.own())
  }

  /** Instances whose gauges nobody closed keep their slot and their place in the record. */
  private async closeOwn(): Promise<SendOutcome | undefined> {
    const { instance, measurements, signal, sleep } = this.options
    const own = instance.own()
    if (!this.shown && !this.pushing) return this.forget(own)
    let outcome: SendOutcome | undefined
    do {
      outcome = await this.show(measurements.closing(), own.id)
      if (outcome?.kind === 'unavailable') await sleep(AGAIN_MS)
    } while (outcome?.kind === 'unavailable' && !signal.aborted)
    if (outcome && outcome.kind !== 'unavailable') this.forget(own)
    return outcome
  }

  private async closeFormer(former: Instance): Promise<SendOutcome | undefined> {
    const points = this.options.measurements.closing()
    const outcome = points.length === 0 ? undefined : await this.show(points, former.id)
    if (points.length === 0 || (outcome && outcome.kind !== 'unavailable')) this.forget(former)
    return outcome
  }

  private forget(whose: Instance): undefined {
    const { position, instance } = this.options
    if (position.instance?.id === whose.id) position.instance = undefined
    instance.release(whose)
  }

  private async show(gauges: readonly GaugePoint[], instance: string): Promise<SendOutcome | undefined> {
    const refused = [...this.refused]
    const increments = refused.map(([signal, value]): Measurement => ({
      metric: 'telemetryRefused',
      value,
      attributes: { [ATTR.telemetrySignal]: signal },
    }))
    const times = this.options.clock.tick()
    const outcome = await Promise.race([this.options.send({ gauges, increments, instance, ...times }), this.aborted])
    if (outcome?.kind === 'accepted') for (const [signal, count] of refused) this.reported(signal, count)
    return outcome
  }

  private reported(signal: Signal, count: number): void {
    const left = (this.refused.get(signal) ?? 0) - count
    if (left > 0) this.refused.set(signal, left)
    else this.refused.delete(signal)
  }
}
