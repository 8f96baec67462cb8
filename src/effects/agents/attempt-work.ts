// Owns: all launches of one attempt of an agent: one record, one sum of what was spent, one clock of working time, and what
// each launch comes to. Must not: decide whether there is another launch.
import { basename } from 'node:path'
import type { AgentSpec } from '../../core/agent.ts'
import type { FailureReport } from '../../core/failure.ts'
import type { JsonObject } from '../../core/json.ts'
import { LIMITS } from '../../core/limits.ts'
import type { Cost, ProcessFacts, Session, Usage } from '../../core/outcome.ts'
import type { Standing } from '../attempt-conclusion.ts'
import { reason } from '../reason.ts'
import type { AgentAdapter, AgentEvent, AgentLaunch } from './adapter.ts'
import { nextRequest, unmeasurableCall, type CallEvent } from './attempt-budget.ts'
import { sessionIdOf, type Asked } from './attempt-request.ts'
import { ClientRun, type ClientEnd } from './launch.ts'
import { agentFailure } from './outcome.ts'
import { RecordBuilder } from './record.ts'
import { NO_TOKENS, plus, type PriceOf } from './spending.ts'
import { EventRecorder } from './stream-events.ts'

export interface WorkParts {
  readonly asked: Asked
  readonly adapter: AgentAdapter
  readonly price: PriceOf
  readonly prompt: string
}

export class AgentWork {
  readonly record: RecordBuilder
  readonly #standing: Standing
  readonly #parts: WorkParts
  readonly #events: EventRecorder
  #launch: AgentLaunch | undefined
  #client: ClientRun | undefined
  #workedMs = 0
  #lastCall: CallEvent | undefined
  #reservedAfter: CallEvent | undefined
  readonly #openTools = new Set<string>()

  constructor(standing: Standing, parts: WorkParts) {
    const { spec } = parts.asked
    this.#standing = standing
    this.#parts = parts
    this.record = new RecordBuilder(spec.use, parts.price, spec.model)
    const { price: priceOf } = parts
    this.#events = new EventRecorder({ standing, record: this.record, priceOf, agent: spec.use })
  }

  get spec(): AgentSpec {
    return this.#parts.asked.spec
  }

  /** Starts the client for the k-th time, or tells why that is impossible. */
  start(number: number): { readonly client: ClientRun; readonly file: string } | { readonly failure: FailureReport } {
    const { asked, adapter, prompt } = this.#parts
    const { ground, command } = this.#standing
    const { marker, declared, ...base } = asked
    if (number > 1) this.record.nextLaunch()
    const request = {
      ...base,
      prompt: number === 1 ? prompt : `The limit that stopped you is over. Go on with your task.\n\n${prompt}`,
      launch: number,
      session: number === 1 ? asked.session : this.#session(),
      newSessionId: sessionIdOf(ground.context.runId, command.id, number),
    }
    const launch = adapter.launch(request)
    if ('problem' in launch)
      return { failure: reason('config_invalid', `${this.spec.use}: ${launch.problem}`, 'agent') }
    this.#launch = launch
    if (number === 1) this.#writeAsked(launch, declared, prompt)
    this.#events.nextLaunch(number, request.prompt, Date.now())
    const { timeout_ms } = command.node
    this.#client = new ClientRun({
      standing: this.#standing,
      adapter,
      request,
      launch,
      marker,
      timeoutMs: timeout_ms === undefined ? undefined : Math.max(1, timeout_ms - this.#workedMs),
      take: (event) => this.#take(event),
    })
    return { client: this.#client, file: launch.file }
  }

  #take(event: AgentEvent): void {
    this.#events.take(event)
    const { asked, price } = this.#parts
    const failure = unmeasurableCall(event, asked.spec, asked.usdLeft, price)
    if (failure) this.#client?.stop({ code: failure.code, message: failure.message, now: false })
    this.#reserveNext(event)
  }

  /**
   * When an answer asks for tools, the client will send another request after them, without asking us. If one as large as
   * the last does not fit the budgets any more, the client is ended before it does.
   */
  #reserveNext(event: AgentEvent): void {
    if (event.type === 'call') this.#lastCall = event
    else if (event.type === 'tool.started' && this.#openTools.size < LIMITS.callsOnRecord) this.#openTools.add(event.id)
    else if (event.type === 'tool.finished') this.#openTools.delete(event.id)
    const goesOn = this.#openTools.size > 0 || (event.type === 'call' && /tool/i.test(event.finishReason ?? ''))
    if (!goesOn || this.#launch?.dialogue === true || this.#reservedAfter === this.#lastCall) return
    const amount = nextRequest(this.#lastCall, this.#parts, this.#standing.command.left)
    if (!amount) return
    this.#reservedAfter = this.#lastCall
    const client = this.#client
    void this.#standing.report.reserve({ ...amount, unasked: true }).then((refused) => {
      if (refused !== undefined) client?.stop({ code: 'budget_exhausted', message: refused, now: false })
    })
  }

  /** A launch is over: why it failed, if it did. */
  ended(end: ClientEnd): FailureReport | undefined {
    const { asked, adapter } = this.#parts
    const { command } = this.#standing
    this.#client = undefined
    this.#workedMs += end.ending.durationMs
    this.#events.end(Date.now())
    return agentFailure({
      ...end,
      spec: asked.spec,
      program: basename(this.#launch?.file ?? asked.spec.use),
      cwd: asked.cwd,
      graceMs: command.node.grace_ms,
      timeoutMs: command.node.timeout_ms,
      record: this.record,
      text: adapter.text === true,
    })
  }

  spent({ verdict }: ClientEnd): { usage?: Usage; cost?: Cost; session?: Session } {
    const spent = this.record.spending.soFar()
    const session = this.#session(verdict.usageComplete)
    return {
      ...(spent && { usage: { ...spent.usage, complete: verdict.usageComplete }, cost: spent.cost }),
      ...(session && { session }),
    }
  }

  #session(isComplete = false): Session | undefined {
    const id = this.record.sessionId ?? this.#parts.asked.session?.id
    return id === undefined ? undefined : { id, agent: this.spec.use, ...this.#totals(id, isComplete) }
  }

  /** What the client counts for the whole conversation; where it ended before it told, what was seen of it. */
  #totals(id: string, isComplete: boolean): Pick<Session, 'totals' | 'partial'> {
    const { totals, spending } = this.record
    if (totals) return { totals }
    const { session } = this.#parts.asked
    const isNew = session === undefined && this.#parts.adapter.accumulates === true
    const before = isNew ? NO_TOKENS : session?.id === id ? session.totals : undefined
    if (!before) return {}
    const spent = spending.soFar()?.usage
    const isPartial = !isComplete || session?.partial === true
    return { totals: spent ? plus(before, spent) : before, ...(isPartial && { partial: true }) }
  }

  process({ ending }: ClientEnd): ProcessFacts {
    return {
      executable: basename(this.#launch?.file ?? this.spec.use),
      ...(ending.pid !== undefined && { pid: ending.pid }),
      ...(ending.exitCode !== undefined && { exit_code: ending.exitCode }),
      ...(ending.signal !== undefined && { signal: ending.signal }),
    }
  }

  /** What was asked of the client, for people who look into the run afterwards. */
  #writeAsked(launch: AgentLaunch, declared: JsonObject, prompt: string): void {
    const { ground, command, directory } = this.#standing
    const { place, node } = command
    const { asked } = this.#parts
    // An adapter may have added the form of the answer; in a dialogue the prompt is part of a protocol.
    ground.files.write(directory, 'prompt.md', (launch.dialogue ? undefined : launch.stdin) ?? prompt)
    ground.files.write(directory, 'command.json', {
      attempt_id: command.id,
      agent: this.spec.use,
      ...(this.spec.model !== undefined && { model: this.spec.model }),
      argv: [launch.file, ...launch.args],
      cwd: asked.cwd,
      home: asked.home,
      env: { ...declared, ...launch.env },
      secrets: place.secrets,
      ...(node.timeout_ms === undefined ? {} : { timeout_ms: node.timeout_ms }),
      traceparent: `00-${place.trace_id}-${place.span_id}-${place.sampled ? '01' : '00'}`,
    })
  }
}
