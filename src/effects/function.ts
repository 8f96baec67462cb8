// Owns: running a TypeScript step (`call`). Cheap on purpose: a step that just returns costs no file, no timer and no
// signal. A function cannot be killed: one that ignores its signal is reported as ended after the grace and left alone.
import type { CallContext } from '../core/call.ts'
import type { RunAttempt, Stop } from '../core/commands.ts'
import { formatDuration } from '../core/duration.ts'
import type { FailureCode, FailureReport } from '../core/failure.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import type { CallNode } from '../core/pipeline.ts'
import { planChecks } from './checks/verification-record.ts'
import type { EffectsContext, Report, Running } from './context.ts'
import { after } from './deadline.ts'
import { checkOutputs } from './declared-outputs.ts'
import { declaredEnvironment } from './environment.ts'
import { toJson } from './json-value.ts'
import { maskedOutcome } from './masked-outcome.ts'
import { reason, stopReason } from './reason.ts'
import type { Reported } from './reported-outcome.ts'
import { retryContext } from './retry-context.ts'
import { createStepFiles } from './run-files.ts'
import { loadSpanContext, withSpan } from './span-context.ts'
import { thrownFailure } from './thrown.ts'

export type CallAttempt = RunAttempt & { readonly node: CallNode }

/** Reason of the signal of a step that has to end. */
class StepEnded extends Error {
  override readonly name = 'StepEnded'
  readonly code: FailureCode
  constructor(code: FailureCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Calls that have not returned when the event loop comes round get their timers then: most never need any. */
const fresh = new Set<CallRun>()
function watchSoon(call: CallRun): void {
  if (fresh.size === 0) {
    setImmediate(() => {
      const calls = [...fresh]
      fresh.clear()
      for (const open of calls) open.watch()
    })
  }
  fresh.add(call)
}

export class CallRun implements Running {
  readonly #command: CallAttempt
  readonly #context: EffectsContext
  readonly #report: Report
  readonly #startedAt = performance.now()
  #abort: AbortController | undefined
  #ending: FailureReport | undefined
  #timers: (() => void)[] = []
  #lastProgress = this.#startedAt
  #lastReported = -Infinity
  #settled = false

  constructor(context: EffectsContext, command: CallAttempt, report: Report) {
    this.#context = context
    this.#command = command
    this.#report = report
    void this.#run()
  }

  stop(stop: Stop): void {
    this.#end(stopReason(stop), stop.now)
  }

  /** Arms the timeout and the stall timeout. */
  watch(): void {
    if (this.#settled) return
    const { timeout_ms: timeout, stall_timeout_ms: stall, call } = this.#command.node
    if (timeout !== undefined) {
      const left = Math.max(0, timeout - (performance.now() - this.#startedAt))
      this.#timers.push(
        after(left, () =>
          this.#end(
            reason(
              'timed_out',
              `function ${call.name} ran longer than its timeout of ${formatDuration(timeout)}`,
              'command',
            ),
            false,
          ),
        ),
      )
    }
    if (stall !== undefined) this.#watchStall(stall, stall)
  }

  #watchStall(limit: number, wait: number): void {
    this.#timers.push(
      after(wait, () => {
        const idle = Math.round(performance.now() - this.#lastProgress)
        if (idle < limit) return this.#watchStall(limit, limit - idle)
        if (this.#ending || this.#settled) return
        this.#report.observed({
          type: 'stall.detected',
          ...this.#subject(),
          reason: 'no progress',
          idle_ms: idle,
          action: 'abort',
        })
        this.#end(
          reason(
            'stalled',
            `function ${this.#command.node.call.name} reported no progress for ${formatDuration(idle)}`,
            'command',
            { idle_ms: idle },
          ),
          false,
        )
      }),
    )
  }

  /** Aborts the signal; what the function then does has the grace to happen. */
  #end(failure: FailureReport, now: boolean): void {
    if (this.#settled) return
    this.#ending ??= failure
    const { code, message } = this.#ending
    this.#signal().abort(new StepEnded(code, message))
    const giveUp = (): void =>
      this.#settle({
        failure: { ...this.#ending!, message: `${message}; it did not react to its signal and may still be at work` },
      })
    if (now) queueMicrotask(giveUp)
    else this.#timers.push(after(this.#command.node.grace_ms, giveUp))
  }

  #signal(): AbortController {
    this.#abort ??= new AbortController()
    return this.#abort
  }

  async #run(): Promise<void> {
    try {
      const loading = loadSpanContext()
      if (loading) await loading
      // A stop that came while it was loading: the function is not called any more.
      if (this.#ending) return this.#settle({ failure: this.#ending })
      const call = this.#context.functions.get(this.#command.node.call.name)
      if (!call) return this.#settle({ failure: this.#missing() })
      const returned = withSpan(this.#command.place, () => call(this.#callContext()))
      if (returned instanceof Promise) watchSoon(this)
      const value: unknown = await returned
      this.#settle(this.#ending ? { failure: this.#ending } : this.#outcome(value))
    } catch (error) {
      this.#settle({ failure: this.#ending ?? thrownFailure(error, this.#command.node.call.name) })
    }
  }

  #missing(): FailureReport {
    const { name } = this.#command.node.call
    return reason(
      'config_missing',
      `function ${name} is not in the pipeline that was loaded: run it from the TypeScript file that defines it`,
      'command',
      { function: name },
    )
  }

  #callContext(): CallContext {
    const command = this.#command
    const { logger, runDir } = this.#context
    const signal = (): AbortSignal => this.#signal().signal
    const declared = declaredEnvironment(command.place, command.inputs)
    const fields = { node: command.place.node, attempt_id: command.id }
    return {
      params: command.params,
      inputs: 'failure' in declared ? command.inputs : { ...command.inputs, ...declared.values },
      item: command.item,
      attempt: {
        id: command.id,
        number: command.attempt,
        max: command.max,
        visit: command.place.visit,
        node: command.place.node,
      },
      get retryContext() {
        return retryContext(command, runDir)
      },
      get signal() {
        return signal()
      },
      logger: {
        info: (message, more) => logger.info(message, { ...fields, ...more }),
        warn: (message, more) => logger.warn(message, { ...fields, ...more }),
        error: (message, more) => logger.error(message, { ...fields, ...more }),
      },
      progress: (message) => this.#progressed(message),
    }
  }

  #progressed(message: string | undefined): void {
    if (this.#settled) return
    const now = performance.now()
    this.#lastProgress = now
    if (now - this.#lastReported < LIMITS.progressIntervalMs) return
    this.#lastReported = now
    const text = message === undefined ? undefined : this.#context.mask.text(message).slice(0, LIMITS.messageChars)
    this.#report.observed({ type: 'attempt.progressed', ...this.#subject(), ...(text === undefined ? {} : { text }) })
  }

  #outcome(value: unknown): Reported {
    if (value === undefined) return this.#command.node.outputs ? this.#checked({}) : {}
    const converted = toJson(value, 'outputs')
    const name = this.#command.node.call.name
    if ('problem' in converted)
      return { failure: reason('invalid_output', `function ${name}: ${converted.problem}`, 'command') }
    if (!isJsonObject(converted.json)) {
      const got = Array.isArray(converted.json)
        ? 'an array'
        : converted.json === null
          ? 'null'
          : `a ${typeof converted.json}`
      return {
        failure: reason(
          'invalid_output',
          `function ${name} returned ${got}; expected an object of outputs, or nothing`,
          'command',
        ),
      }
    }
    return this.#checked(converted.json)
  }

  /** The label of a decision is the output `label` or `disposition`. */
  #checked(outputs: JsonObject): Reported {
    const { node } = this.#command
    const checked = checkOutputs(outputs, {}, node.outputs, 'command')
    if ('failure' in checked) return checked
    const label = node.decision ? (outputs['label'] ?? outputs['disposition']) : undefined
    return { outputs: checked.outputs, ...(typeof label === 'string' ? { label } : {}) }
  }

  #subject() {
    const { id, attempt, place } = this.#command
    return { node: place.node, visit: place.visit, attempt, attempt_id: id }
  }

  #planChecks({ failure, skipped }: Reported): void {
    const { id, node } = this.#command
    if (failure || skipped || node.checks.length === 0) return
    const files = createStepFiles(this.#context.runDir, this.#context.mask)
    planChecks(files, files.directory(id), id, node.checks)
  }

  #settle(reported: Reported): void {
    if (this.#settled) return
    this.#settled = true
    fresh.delete(this)
    for (const cancel of this.#timers) cancel()
    this.#timers = []
    const { outcome, warning } = maskedOutcome(reported, this.#context.mask)
    if (warning)
      this.#report.observed({
        type: 'warning.raised',
        ...warning,
        node: this.#command.place.node,
        attempt_id: this.#command.id,
      })
    this.#planChecks(outcome)
    this.#report.outcome({ ...outcome, duration_ms: performance.now() - this.#startedAt })
  }
}
