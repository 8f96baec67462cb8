// Owns: a run played in memory against a scripted world: effects answer as a script says, time moves only when nothing
// else can happen. Every event goes through decide and evolve exactly as in a host. Must not: know what tests expect.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Command, RunAttempt } from '../../src/core/commands.ts'
import { decide } from '../../src/core/decide.ts'
import type { Entry, Event, EventOf, EventType } from '../../src/core/events.ts'
import { evolve } from '../../src/core/evolve.ts'
import type { FailureCode } from '../../src/core/failure.ts'
import { isRefusal, type Input, type Refusal } from '../../src/core/inputs.ts'
import type { Json } from '../../src/core/json.ts'
import type { Outcome } from '../../src/core/outcome.ts'
import { hasWork, pending, takeDirty } from '../../src/core/pending.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'
import { newRun, type RunState } from '../../src/core/state.ts'
import { toTimestamp } from '../../src/core/time.ts'
import { celExpressions } from '../../src/pipeline/expressions.ts'
import { parsePipelineFile } from '../../src/pipeline/load.ts'

export const START = Date.parse('2030-01-01T00:00:00Z')
const RUN_ID = '01KH3DN4STSZ3MVKB58YY6RE57'

type Given = Input extends infer I ? (I extends Input ? Omit<I, 'now'> : never) : never

/** What an effect answers; undefined = it goes on for ever (until it is told to stop). */
export type Script = (
  command: Exclude<Command, { kind: 'timer' | 'gate' | 'sweep' }>,
  world: World,
) => Answer | undefined
export interface Answer extends Partial<Outcome> {
  readonly fail?: string | FailureCode | undefined
  /** Virtual milliseconds until it is told. */
  readonly takes?: number
  /** Attempts: before it is told, a limit has to be waited for, this long. */
  readonly waits?: number
  /** Attempts: model calls one after another before it is told; each is reserved (if at all), takes its time, and is paid for. */
  readonly calls?: readonly { readonly usd: number; readonly reserve: number | undefined; readonly takes: number }[]
}

/** Parses a pipeline given as YAML text or as a value; `files` lie beside it. */
export async function pipelineOf(
  text: string | Json,
  files: { readonly [name: string]: Json } = {},
): Promise<Pipeline> {
  const folder = mkdtempSync(path.join(tmpdir(), 'spanwright-'))
  try {
    const file = path.join(folder, 'pipeline.yaml')
    writeFileSync(file, typeof text === 'string' ? text : JSON.stringify(text))
    for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), JSON.stringify(content))
    return (await parsePipelineFile(file)).pipeline
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** As on a disk: who folds a journal cannot change it, so that many worlds share one. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    Object.values(value).forEach(frozen)
  }
  return value
}

interface Live {
  readonly command: Command
  readonly answer: Answer | undefined
  readonly due: number
  /** The first of its calls is under way. */
  readonly calling?: boolean
  /** For its calls so far. */
  readonly paid?: number
}

export class World {
  readonly pipeline: Pipeline
  readonly entries: Entry[]
  readonly script: Script
  state: RunState
  now: number
  /** Live effects: when each will answer. */
  readonly live = new Map<string, Live>()
  readonly started: string[] = []
  onEntry: ((entry: Entry, world: World) => void) | undefined
  /** The world that was told something last: what a failed test prints. */
  static latest: World | undefined

  constructor(pipeline: Pipeline, script: Script = () => ({}), entries: readonly Entry[] = [], now = START) {
    this.pipeline = pipeline
    this.script = script
    this.entries = []
    this.now = now
    this.state = newRun(pipeline, celExpressions)
    for (const entry of entries) this.#fold(entry)
  }

  #fold(entry: Entry): void {
    this.entries.push(entry)
    evolve(this.state, entry.event, Date.parse(entry.at))
  }

  /** An input, and everything that follows at once; effects start afterwards. */
  tell(given: Given): Refusal | undefined {
    World.latest = this
    const refusal = this.#decide(given)
    if (refusal) return refusal
    for (let turns = 0; hasWork(this.state); turns++) {
      if (turns > 100_000) throw new Error('one input never came to rest')
      const before = this.entries.length
      this.#decide({ type: 'proceed' })
      if (this.entries.length === before)
        throw new Error(
          `nothing was decided for ${[...this.state.agenda].map((item) => ('path' in item ? `${item.path} ${item.phase}/${item.step}` : 'prefix' in item ? `scope '${item.prefix}'` : 'budget'))[0] ?? 'the queue'}`,
        )
    }
    this.#start()
    return undefined
  }

  #decide(given: Given): Refusal | undefined {
    const events = decide(this.state, { ...given, now: this.now })
    if (isRefusal(events)) return events
    for (const event of events) {
      const entry: Entry = {
        v: 1,
        seq: this.entries.length + 1,
        at: toTimestamp(this.now),
        event: frozen(structuredClone(event)),
      }
      this.#fold(entry)
      this.onEntry?.(entry, this)
    }
    return undefined
  }

  #start(): void {
    for (const id of takeDirty(this.state)) {
      const command = pending(this.state).get(id)
      const live = this.live.get(id)
      if (!command) this.live.delete(id)
      else if (command.kind === 'timer' || command.kind === 'gate') continue
      else if (!live) this.#startEffect(command)
      else if ('stop' in command && command.stop)
        this.live.set(id, {
          command,
          answer: {
            fail: command.stop.code,
            failure: { code: command.stop.code, message: command.stop.message, source: 'command' },
          },
          due: this.now,
        })
    }
  }

  #startEffect(command: Exclude<Command, { kind: 'timer' | 'gate' }>): void {
    this.started.push(command.id)
    const answer = command.kind === 'sweep' ? {} : this.script(command, this)
    this.live.set(command.id, {
      command,
      answer,
      due: answer ? this.now + (answer.takes ?? 0) : Number.POSITIVE_INFINITY,
    })
  }

  create(more: Partial<Extract<Given, { type: 'create' }>> = {}): this {
    const params = Object.fromEntries(
      Object.entries(this.pipeline.params).flatMap(([name, param]) =>
        param.default === undefined ? [] : [[name, param.default]],
      ),
    )
    const refusal = this.tell({
      type: 'create',
      run_id: RUN_ID,
      labels: {},
      pipeline_hash: 'hash',
      params,
      max_parallel: this.pipeline.max_parallel,
      trace_id: 'a'.repeat(32),
      ...more,
    })
    if (refusal) throw new Error(refusal.message)
    return this
  }

  /** Lets the next thing happen: the effect or timer that is due first. False = nothing ever will. */
  step(): boolean {
    let next: { id: string; due: number; timer: boolean } | undefined
    for (const [id, { due }] of this.live)
      if (due !== Number.POSITIVE_INFINITY && (!next || due < next.due)) next = { id, due, timer: false }
    for (const [id, command] of pending(this.state))
      if (command.kind === 'timer' && (!next || command.due < next.due)) next = { id, due: command.due, timer: true }
    if (!next) return false
    this.now = Math.max(this.now, next.due)
    if (next.timer) this.#fire(next.id)
    else this.#answer(next.id)
    return true
  }

  /** A timer; an attempt that waited for a limit goes on. */
  #fire(id: string): void {
    this.tell({ type: 'timer.fired', id })
    const waited = id.startsWith('limit:') ? this.live.get(id.slice('limit:'.length)) : undefined
    if (waited?.due === Number.POSITIVE_INFINITY && waited.answer)
      this.live.set(waited.command.id, { ...waited, due: this.now + 1 })
  }

  /** Whether the attempt waits for a limit now (past the bound of waits it just fails). */
  #waits(live: Live): boolean {
    const { waits, ...answer } = live.answer!
    if (waits === undefined) return false
    const failure = { code: 'rate_limited', message: 'the limit is reached', source: 'provider' } as const
    const refused = this.tell({
      type: 'attempt.waiting',
      attempt_id: live.command.id,
      resumes_at: this.now + waits,
      failure,
    })
    if (refused) this.live.set(live.command.id, { ...live, answer: { failure } })
    else this.live.set(live.command.id, { command: live.command, answer, due: Number.POSITIVE_INFINITY })
    return refused === undefined
  }

  /** One step of its calls: asks for the next one, or pays for the one under way. False = it has made them all. */
  #calls(live: Live): boolean {
    const [call, ...rest] = live.answer!.calls ?? []
    if (!call) return false
    const { id } = live.command
    const goOn = (next: Live): void => {
      if (this.live.get(id) === live) this.live.set(id, next)
    }
    if (live.calling) {
      const paid = (live.paid ?? 0) + call.usd
      const usage = { input: Math.round(paid * 100), cache_read: 0, cache_write: 0, output: 1 }
      this.tell({ type: 'attempt.usage', attempt_id: id, usage, cost: { usd: paid, source: 'computed' } })
      goOn({ command: live.command, answer: { ...live.answer, calls: rest }, due: this.now, paid })
      return true
    }
    const refused =
      call.reserve !== undefined &&
      this.tell({ type: 'attempt.reserve', attempt_id: id, usd: call.reserve, tokens: call.reserve * 100 })
    if (refused)
      goOn({
        ...live,
        answer: { failure: { code: 'budget_exhausted', message: refused.message, source: 'agent' } },
        due: this.now,
      })
    else goOn({ ...live, calling: true, due: this.now + call.takes })
    return true
  }

  #answer(id: string): void {
    const live = this.live.get(id)!
    if (this.#calls(live) || this.#waits(live)) return
    const { command, answer } = this.live.get(id)!
    this.live.delete(id)
    const { fail, takes, waits: _waits, calls: _calls, ...outcome } = answer!
    const failure = outcome.failure ?? (fail === undefined ? undefined : failureOf(fail))
    const base = { duration_ms: takes ?? 1, ...(failure && { failure }) }
    if (command.kind === 'attempt')
      this.tell({ type: 'attempt.outcome', attempt_id: id, outcome: { ...outcome, ...base } })
    else if (command.kind === 'check') this.tell({ type: 'check.outcome', id, ...base })
    else if (command.kind === 'hook') this.tell({ type: 'hook.outcome', id, ...base })
    else if (command.kind === 'summary') {
      const { notes: text, usage, cost } = outcome
      this.tell({ type: 'summary.outcome', id, ...(!failure && { text }), usage, cost })
    } else this.tell({ type: 'sweep.outcome' })
  }

  /** Plays until the run has ended, or waits for a person, or `until` holds. */
  play(until: (world: World) => boolean = () => false): this {
    for (let steps = 0; this.state.phase === 'running' && !until(this); steps++) {
      if (steps > 50_000) throw new Error('the run does not end')
      if (!this.step()) break
    }
    return this
  }

  /** The process dies: what was on record is all there is. Another one ends the execution and resumes. */
  crashed(entries = this.entries.length): World {
    const next = new World(this.pipeline, this.script, this.entries.slice(0, entries), this.now)
    next.onEntry = this.onEntry
    return next
  }

  // -- reading

  events<T extends EventType>(type: T, node?: string): EventOf<T>[] {
    return this.entries
      .map((entry) => entry.event)
      .filter(
        (event): event is EventOf<T> =>
          event.type === type && (node === undefined || ('node' in event && event.node === node)),
      )
  }

  /** Event types in short: `node.started build`. */
  lines(...types: EventType[]): string[] {
    return this.entries
      .map((entry) => entry.event)
      .filter((event) => types.length === 0 || types.includes(event.type))
      .map(inShort)
  }

  result(node: string): string | undefined {
    return (
      (
        this.events('node.finished', node).at(-1) ??
        (this.events('node.skipped', node).at(-1) as { result?: string } | undefined)
      )?.result ?? (this.events('node.skipped', node).length > 0 ? 'skip' : undefined)
    )
  }

  get finished(): EventOf<'run.finished'> {
    const last = this.events('run.finished').at(-1)
    if (!last) throw new Error(`the run has not finished: ${this.lines().slice(-5).join(' | ')}`)
    return last
  }
}

export const failureOf = (text: string): NonNullable<Outcome['failure']> =>
  /^[a-z]+(_[a-z]+)+$|^(canceled|stalled|network|forced|signaled|superseded)$/.test(text)
    ? { code: text as FailureCode, message: `it ended as ${text}`, source: 'command' }
    : { code: 'exit_nonzero', message: text, source: 'agent' }

function inShort(event: Event): string {
  const parts: string[] = [event.type]
  if ('attempt_id' in event && event.attempt_id !== undefined) parts.push(event.attempt_id as string)
  else if ('node' in event && event.node !== undefined) parts.push(event.node as string)
  if ('branch' in event) parts.push((event as EventOf<'branch.started'>).branch.key)
  if ('name' in event) parts.push(event.name as string)
  if ('result' in event && event.result !== undefined) parts.push(event.result as string)
  return parts.join(' ')
}

/** The script most tests want: answers by node id and attempt number, success for all others. */
export function answers(byNode: {
  readonly [node: string]: readonly (Answer | string)[] | ((command: RunAttempt) => Answer | string | undefined)
}): Script {
  return (command) => {
    if (command.kind !== 'attempt') return {}
    const list = byNode[command.node.id]
    if (!list) return {}
    const answer = typeof list === 'function' ? list(command) : list[Math.min(command.attempt, list.length) - 1]
    return typeof answer === 'string' ? (answer === 'ok' ? {} : { fail: answer }) : answer
  }
}
