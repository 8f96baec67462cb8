// Owns: one attempt of an agent node from its request to its outcome: prompt, launches (more than one when a limit is waited
// for), record, verdict. It reports; whether there is another attempt, and by whom, is decided by the core.
import type { AgentSpec } from '../../core/agent.ts'
import type { RunAttempt, Stop } from '../../core/commands.ts'
import type { FailureReport } from '../../core/failure.ts'
import type { JsonObject } from '../../core/json.ts'
import type { Outcome } from '../../core/outcome.ts'
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
import { maskedOutcome } from '../masked-outcome.ts'
import { stopReason } from '../reason.ts'
import { lookBefore, type WorkingDirectories } from '../status-files.ts'
import type { AgentAdapter } from './adapter.ts'
import { adapterOf } from './agents.ts'
import { pricesFor, unmeasurableBefore } from './attempt-budget.ts'
import { askedOf, type Asked } from './attempt-request.ts'
import type { ClientVersions } from './attempt-version.ts'
import type { ClientEnd, ClientRun } from './launch.ts'
import { resumesAt, waitForLimit } from './limits.ts'
import { structuredAnswer } from './outcome.ts'
import { composePrompt } from './prompt.ts'
import type { AgentRecord } from './record.ts'
import { AgentWork } from './attempt-work.ts'

export type AgentAttemptCommand = RunAttempt & { readonly node: AgentNode }

/** What all agents of one run share. */
export interface AgentGround {
  readonly ground: Ground
  readonly directories: WorkingDirectories
  readonly versions: ClientVersions
}

const RECORD_FILE = 'agent.json'

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
    this.#stop = this.#stop ? { ...this.#stop, now: this.#stop.now || stop.now } : stop
    this.#stopped.abort()
    this.#client?.stop(stop)
  }

  async run(): Promise<Outcome> {
    const { ground, directories } = this.#shared
    const asked = askedOf(ground, this.#command, this.#standing.directory)
    if ('failure' in asked) return this.#refused(asked.failure)
    const prompt = this.#prompt(asked)
    if ('failure' in prompt) return this.#refused(prompt.failure)
    const snapshot = await lookAtFiles(asked.cwd, ground.context.env, this.#standing)
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
        const told = maskedOutcome({ failure }, this.#shared.ground.context.mask).outcome.failure!
        const going = await waitForLimit(this.#standing.report, resumes, told, this.#stopped.signal)
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
    // The record has it also where it was in the text.
    if ('value' in answer) work.record.add({ type: 'result', structured: answer.value })
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
