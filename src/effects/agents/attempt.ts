// Owns: one attempt of an agent node from its request to its outcome: prompt, launches (more than one when a limit is waited
// for), record, verdict. It reports; whether there is another attempt, and by whom, is decided by the core.
import { basename } from 'node:path'
import type { AgentSpec } from '../../core/agent.ts'
import type { RunAttempt, Stop } from '../../core/commands.ts'
import type { FailureReport } from '../../core/failure.ts'
import type { JsonObject } from '../../core/json.ts'
import type { Cost, Outcome, ProcessFacts, Session, Usage } from '../../core/outcome.ts'
import type { AgentNode } from '../../core/pipeline.ts'
import {
  conclude,
  recordLeftovers,
  subjectOf,
  tellRetryContext,
  type Place,
  type Standing,
} from '../attempt-conclusion.ts'
import { brokenOutcome } from '../broken-outcome.ts'
import { changesSince, forget, lookAtFiles, recordChanges, type Snapshot } from '../changes/changes.ts'
import type { Ground } from '../command-run.ts'
import type { Report, Running } from '../context.ts'
import { reason, stopReason } from '../reason.ts'
import { lookBefore, type WorkingDirectories } from '../status-files.ts'
import type { AgentAdapter, AgentEvent, AgentLaunch } from './adapter.ts'
import { adapterOf } from './agents.ts'
import { pricesFor, unmeasurableBefore, unmeasurableCall } from './attempt-budget.ts'
import { askedOf, sessionIdOf, type Asked } from './attempt-request.ts'
import type { ClientVersions } from './attempt-version.ts'
import { ClientRun, type ClientEnd } from './launch.ts'
import { resumesAt, waitForLimit } from './limits.ts'
import { agentFailure, structuredAnswer } from './outcome.ts'
import { composePrompt } from './prompt.ts'
import { RecordBuilder, type AgentRecord } from './record.ts'
import type { PriceOf } from './spending.ts'
import { EventRecorder } from './stream-events.ts'

export type AgentAttemptCommand = RunAttempt & { readonly node: AgentNode }

/** What all agents of one run share. */
export interface AgentGround {
  readonly ground: Ground
  readonly directories: WorkingDirectories
  readonly versions: ClientVersions
}

const RECORD_FILE = 'agent.json'
const PROMPT_FILE = 'prompt.md'

/** Starts the agent of an attempt; the outcome is reported when nothing of it runs any more. */
export function startAgent(shared: AgentGround, command: AgentAttemptCommand, report: Report): Running {
  const attempt = new AgentAttempt(shared, command, report)
  void attempt
    .run()
    .catch(brokenOutcome)
    .then((outcome) => report.outcome(outcome))
  return attempt
}

class AgentAttempt implements Running {
  readonly #shared: AgentGround
  readonly #command: RunAttempt & { readonly agent: AgentSpec }
  readonly #standing: Standing
  readonly #startedAt = performance.now()
  readonly #stopped = new AbortController()
  #stop: Stop | undefined
  #client: ClientRun | undefined

  constructor(shared: AgentGround, command: AgentAttemptCommand, report: Report) {
    const { ground } = shared
    this.#shared = shared
    this.#command = { ...command, agent: command.agent ?? command.node.agent }
    const directory = ground.files.directory(command.id)
    this.#standing = { ground, command, directory, subject: subjectOf(command), report }
  }

  stop(stop: Stop): void {
    this.#stop ??= stop
    this.#stopped.abort()
    this.#client?.stop(stop)
  }

  async run(): Promise<Outcome> {
    const { ground, directories } = this.#shared
    const asked = askedOf(ground, this.#command, this.#standing.directory)
    if ('failure' in asked) return this.#refused(asked.failure)
    const prompt = this.#prompt(asked)
    if ('failure' in prompt) return this.#refused(prompt.failure)
    ground.files.write(this.#standing.directory, PROMPT_FILE, prompt.text)
    const snapshot = await lookAtFiles(asked.cwd, ground.context.env)
    const stay = directories.enter(asked.cwd)
    const place: Place = { cwd: asked.cwd, before: lookBefore(asked.cwd, ground.context.runId), stay }
    try {
      return await this.#work(asked, prompt.text, { place, snapshot })
    } finally {
      directories.leave(stay)
      forget(snapshot)
    }
  }

  #adapter({ use }: AgentSpec): AgentAdapter {
    return (this.#shared.ground.context.adapterOf ?? adapterOf)(use)
  }

  #refused(failure: FailureReport): Outcome {
    return { failure, duration_ms: performance.now() - this.#startedAt }
  }

  #prompt({ spec }: Asked): ReturnType<typeof composePrompt> {
    const { node, history, answers } = this.#command
    const targets = node.routes.map((route) => route.to)
    return composePrompt({
      prompt: spec.prompt,
      history,
      answers,
      retryContext: tellRetryContext(this.#standing),
      decision: node.decision && { labels: node.decision, targets },
      outputSchema: this.#adapter(spec).text ? spec.output_schema : undefined,
    })
  }

  async #work(asked: Asked, prompt: string, scene: Scene): Promise<Outcome> {
    const { spec } = asked
    const adapter = this.#adapter(spec)
    const price = pricesFor(this.#shared.ground.context, spec)
    const hopeless = unmeasurableBefore(spec, adapter, asked.usdLeft, price)
    if (hopeless) return this.#refused(hopeless)
    const work = new AgentWork(this.#standing, { asked, adapter, price, prompt })
    for (let launch = 1; ; launch++) {
      if (this.#stop) return this.#refused(stopReason(this.#stop))
      const started = work.start(launch)
      if ('failure' in started) return this.#refused(started.failure)
      const { client, file } = started
      this.#client = client
      this.#shared.versions.ask(adapter, file, asked)
      const end = await client.done
      this.#client = undefined
      const failure = work.ended(end)
      recordLeftovers(this.#standing, end.ending)
      const resumes = this.#stop ? undefined : resumesAt(end.verdict, spec.fallback.length > 0, Date.now())
      if (resumes !== undefined && failure) {
        const going = await waitForLimit(this.#standing.report, resumes, failure, this.#stopped.signal)
        if (going) continue
        if (this.#stop) return this.#finish(work, { end, failure: stopReason(this.#stop), ended: true, scene })
      }
      const ended = end.exit.ended === 'stop' || end.exit.ended === 'timeout' || end.exit.ended === 'stall'
      await this.#tellVersion(work, adapter, file)
      return this.#finish(work, { end, failure, ended: ended || end.ending.spawnError !== undefined, scene })
    }
  }

  async #tellVersion(work: AgentWork, adapter: AgentAdapter, file: string): Promise<void> {
    const { versions } = this.#shared
    const version = work.record.version ?? (await versions.answer(file))
    if (version === undefined) return
    work.record.add({ type: 'session', version })
    versions.warnUnknown(this.#standing, adapter, version)
  }

  async #finish(work: AgentWork, { end, failure, ended, scene }: Finished): Promise<Outcome> {
    const { ground, directory } = this.#standing
    if (!this.#stop?.now) await this.#recordChanges(scene)
    const answer = failure ? {} : structuredAnswer(work.record, work.spec.output_schema)
    const misfit = 'failure' in answer ? answer.failure : undefined
    const outcome = conclude(
      this.#standing,
      scene.place,
      {
        failure: failure ?? misfit,
        ended,
        text: work.record.finalText ?? '',
        structured: 'value' in answer ? answer.value : undefined,
        source: 'agent',
      },
      work.spent(end),
    )
    const record = withTold(work.record.finish(end.exit, end.verdict), outcome)
    ground.files.write(directory, RECORD_FILE, JSON.parse(JSON.stringify(record)) as JsonObject)
    return { ...outcome, process: work.process(end), duration_ms: performance.now() - this.#startedAt }
  }

  async #recordChanges({ place, snapshot }: Scene): Promise<void> {
    const { ground, command, directory } = this.#standing
    recordChanges(ground.files, directory, await changesSince(snapshot, command.node.checks, place.stay.overlapped))
  }
}

/** Where it works, and how that looked before. */
interface Scene {
  readonly place: Place
  readonly snapshot: Snapshot
}

interface Finished {
  readonly end: ClientEnd
  readonly failure: FailureReport | undefined
  /** We ended it, or it never started. */
  readonly ended: boolean
  readonly scene: Scene
}

/** What a client that does not tell its use has told in its outcome file. */
function withTold(record: AgentRecord, { usage, cost }: Pick<Outcome, 'usage' | 'cost'>): AgentRecord {
  if (!usage || record.cost_usd !== null || record.tokens.input + record.tokens.output > 0) return record
  const { input, cache_read, cache_write, output, reasoning = 0 } = usage
  return {
    ...record,
    model: record.model ?? usage.model ?? null,
    turns: usage.turns ?? record.turns,
    tokens: { input, cache_read, cache_write, output, reasoning },
    cost_usd: cost?.usd ?? null,
    cost_source: cost?.source ?? 'unknown',
  }
}

interface WorkParts {
  readonly asked: Asked
  readonly adapter: AgentAdapter
  readonly price: PriceOf
  readonly prompt: string
}

/** All launches of one attempt: one record, one sum, one clock of working time. */
class AgentWork {
  readonly record: RecordBuilder
  readonly #standing: Standing
  readonly #parts: WorkParts
  readonly #events: EventRecorder
  #launch: AgentLaunch | undefined
  #client: ClientRun | undefined
  #workedMs = 0

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
      session: number === 1 ? asked.session : (this.#session() ?? asked.session),
      newSessionId: sessionIdOf(ground.context.runId, command.id, number),
    }
    const launch = adapter.launch(request)
    if ('problem' in launch)
      return { failure: reason('config_invalid', `${this.spec.use}: ${launch.problem}`, 'agent') }
    this.#launch = launch
    if (number === 1) this.#writeCommand(launch, declared)
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
    const session = this.#session()
    return {
      ...(spent && { usage: { ...spent.usage, complete: verdict.usageComplete }, cost: spent.cost }),
      ...(session && { session }),
    }
  }

  #session(): Session | undefined {
    const id = this.record.sessionId
    const { totals } = this.record
    return id === undefined ? undefined : { id, agent: this.spec.use, ...(totals && { totals }) }
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
  #writeCommand(launch: AgentLaunch, declared: JsonObject): void {
    const { ground, command, directory } = this.#standing
    const { place, node } = command
    const { asked } = this.#parts
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
