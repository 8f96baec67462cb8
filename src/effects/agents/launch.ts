// Owns: one start of an agent's client, from its launch to its verdict: its lines go to the adapter's reader, what that
// understands to whoever records it, stalls and limits end it. The process is the one that all steps have (process.ts).
import { copyFileSync, linkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Stop } from '../../core/commands.ts'
import { LIMITS } from '../../core/limits.ts'
import { toTimestamp } from '../../core/time.ts'
import { writeArtifact } from '../../journal/artifacts.ts'
import { createMask, type Mask } from '../../journal/masking.ts'
import type { Standing } from '../attempt-conclusion.ts'
import { ChildRun, type Ending, type Halt } from '../process.ts'
import { lastBytes, messageOf } from '../reason.ts'
import type { Log } from '../run-files.ts'
import type { AgentAdapter, AgentEvent, AgentExit, AgentLaunch, AgentReader, AgentRequest, Verdict } from './adapter.ts'
import { fitEvent } from './fit-event.ts'
import { StallWatch, type Stall } from './stalls.ts'
import { LineSplitter } from './stream-lines.ts'
import { SideFiles } from './stream-side.ts'

export interface ClientPlan {
  readonly standing: Standing
  readonly adapter: AgentAdapter
  readonly request: AgentRequest
  readonly launch: AgentLaunch
  readonly marker: string
  /** What is left of the attempt's working time. */
  readonly timeoutMs: number | undefined
  /** Everything the reader understood, as it comes. */
  readonly take: (event: AgentEvent) => void
}

export interface ClientEnd {
  readonly ending: Ending
  readonly exit: AgentExit
  readonly verdict: Verdict
  /** The one it was ended for. */
  readonly stall: Stall | undefined
}

const STDERR_BYTES = 16 * 1024
const STDOUT_LOG = 'stdout.log'
const TRANSCRIPT = 'transcript.ndjson'

export class ClientRun {
  readonly done: Promise<ClientEnd>
  readonly #plan: ClientPlan
  readonly #reader: AgentReader
  readonly #child: ChildRun
  readonly #stalls: StallWatch
  readonly #stdout: LineSplitter
  readonly #stderr: LineSplitter
  readonly #side: SideFiles | undefined
  readonly #transcript: Transcript | undefined
  #stall: Stall | undefined
  #resultSeen = false

  /** Throws what writing its files throws (store.unwritable). */
  constructor(plan: ClientPlan) {
    const { standing, adapter, request, launch } = plan
    this.#plan = plan
    this.#reader = adapter.reader(request)
    this.#stdout = new LineSplitter((line) => this.#line(line))
    this.#stderr = new LineSplitter((line) => this.#read(() => this.#reader.stderr?.(line, Date.now())))
    this.#transcript = adapter.text ? undefined : new Transcript(standing.directory)
    this.#stalls = new StallWatch({
      stalls: request.spec.stalls,
      silenceMs: standing.command.node.stall_timeout_ms,
      quietStart: adapter.text === true,
      detected: (stall) => this.#stalled(stall),
    })
    writeFiles(launch)
    this.#child = this.#start()
    const { side } = launch
    if (side)
      this.#side = new SideFiles(side, (line, file) => this.#read(() => this.#reader.side?.(line, Date.now(), file)))
    this.done = this.#finish()
  }

  stop(stop: Stop): void {
    this.#child.stop(stop)
  }

  get #mask(): Mask {
    return this.#plan.standing.ground.context.mask
  }

  #start(): ChildRun {
    const { standing, request, launch, marker, timeoutMs } = this.#plan
    const { ground, command, directory, subject, report } = standing
    const log = (name: string): Log =>
      ground.files.openLog(directory, name, (limitBytes) =>
        report.observed({ type: 'log.capped', ...subject, stream: name.replace('.log', ''), limit_bytes: limitBytes }),
      )
    return new ChildRun({
      file: launch.file,
      args: launch.args,
      cwd: request.cwd,
      env: withoutEmpty({ ...request.env, ...launch.env }, launch.env),
      stdin: launch.stdin,
      dialogue: launch.dialogue,
      timeoutMs,
      graceMs: command.node.grace_ms,
      leaveRunning: command.node.leave_running,
      marker,
      clearMarked: true,
      stdout: log(STDOUT_LOG),
      stderr: log('stderr.log'),
      oom: ground.oom,
      tapStdout: (chunk) => {
        this.#transcript?.keep()
        this.#stalls.output()
        this.#stdout.push(chunk)
      },
      tapStderr: (chunk) => {
        this.#stalls.output()
        this.#stderr.push(chunk)
      },
      progressed: ({ pid, outputBytes, lastOutputAt }) =>
        report.observed({
          type: 'attempt.progressed',
          ...subject,
          process: { pid, executable: basename(launch.file) },
          output_bytes: outputBytes,
          ...(lastOutputAt === undefined ? {} : { last_output_at: toTimestamp(lastOutputAt) }),
        }),
    })
  }

  #line(line: string): void {
    this.#stalls.started()
    this.#read(() => this.#reader.stdout(line, Date.now()))
  }

  /** A reader never throws; one that does costs its line, not the attempt. */
  #read(read: () => readonly AgentEvent[] | undefined): void {
    try {
      for (const event of read() ?? []) this.#take(event)
    } catch (error) {
      this.#take({ type: 'warning', message: `a line of the client could not be read: ${messageOf(error)}` })
    }
  }

  /** Everything it told passes here. */
  #take(told: AgentEvent): void {
    const event = fitEvent(told, this.#mask)
    this.#stalls.event(event)
    this.#plan.take(event)
    if (event.type === 'result') this.#resultSeen = true
    else if (event.type === 'limit') this.#child.end({ cause: 'limit' })
    else if (event.type === 'reserve') void this.#reserve(event)
  }

  async #reserve({ id, usd, tokens }: Extract<AgentEvent, { type: 'reserve' }>): Promise<void> {
    const refused = await this.#plan.standing.report.reserve({
      ...(usd !== undefined && { usd }),
      ...(tokens !== undefined && { tokens }),
    })
    const answer = refused === undefined ? { type: 'grant', id } : { type: 'refuse', id, reason: refused }
    this.#child.write(`${JSON.stringify(answer)}\n`)
  }

  #stalled(stall: Stall): void {
    const { subject, report } = this.#plan.standing
    report.observed({
      type: 'stall.detected',
      ...subject,
      reason: stall.reason,
      idle_ms: stall.idleMs,
      action: stall.action,
    })
    if (stall.action === 'wait') return
    if (stall.reason === 'result seen but alive') return this.#child.end({ cause: 'result' })
    this.#stall ??= stall
    this.#child.end({ cause: 'stall', idleMs: stall.idleMs, reason: stall.told })
  }

  async #finish(): Promise<ClientEnd> {
    const { launch } = this.#plan
    const ending = await this.#child.done.finally(() => this.#stalls.end())
    this.#side?.end()
    this.#transcript?.end()
    maskFiles(this.#plan.standing, launch)
    const rest = this.#stdout.rest()
    const lastError = this.#stderr.rest()
    if (lastError !== '') this.#read(() => this.#reader.stderr?.(lastError, Date.now()))
    const exit: AgentExit = {
      exitCode: ending.exitCode,
      signal: ending.signal,
      ended: this.#endedBy(ending.halt),
      stderr: lastBytes(ending.stderr.tail, STDERR_BYTES),
      rest,
    }
    return { ending, exit, verdict: this.#verdict(exit), stall: this.#stall }
  }

  /** Once its result is there, a timeout or a stall is no more than the end of a process that has nothing left to do. */
  #endedBy(halt: Halt | undefined): AgentExit['ended'] {
    const cause = halt?.cause
    return this.#resultSeen && (cause === 'timeout' || cause === 'stall') ? 'result' : cause
  }

  #verdict(exit: AgentExit): Verdict {
    const skipped = this.#stdout.skipped
    const warnings =
      skipped > 0 ? [`${skipped} lines were longer than ${LIMITS.streamLineBytes} bytes and were not read`] : []
    try {
      const { events, verdict } = this.#reader.end(exit, Date.now())
      for (const event of events) this.#plan.take(fitEvent(event, this.#mask))
      if (events.some((event) => event.type === 'result')) this.#resultSeen = true
      return {
        ...verdict,
        ...(verdict.message !== undefined && { message: this.#mask.text(verdict.message) }),
        ...(warnings.length > 0 && { usageComplete: false }),
        warnings: [...(verdict.warnings ?? []).map((warning) => this.#mask.text(warning)), ...warnings],
      }
    } catch (error) {
      const message = this.#mask.text(`what it wrote could not be understood: ${messageOf(error)}`)
      return { status: 'error', errorClass: 'unknown', message, usageComplete: false, warnings }
    }
  }
}

/** What the adapter sets to an empty string is taken away. */
const withoutEmpty = (env: AgentLaunch['env'], over: AgentLaunch['env']): AgentLaunch['env'] =>
  Object.fromEntries(Object.entries(env).filter(([name]) => over[name] !== ''))

/** As the client needs them, readable by the user only: `***` in a rule or a schema is another rule. */
function writeFiles(launch: AgentLaunch): void {
  for (const { path, text } of launch.files ?? []) writeArtifact(path, text, UNMASKED)
}

/** What stays in the attempt's directory afterwards holds no secret. */
function maskFiles({ ground, directory }: Standing, launch: AgentLaunch): void {
  for (const { path, text } of launch.files ?? [])
    if (dirname(path) === directory && ground.context.mask.text(text) !== text)
      ground.files.write(directory, basename(path), text)
}

const UNMASKED = createMask({})

/**
 * transcript.ndjson is what the client wrote, and so is stdout.log: the same file under both names, from its first byte
 * on, so that it is there whatever happens to us.
 */
class Transcript {
  readonly #directory: string
  #state: 'waiting' | 'linked' | 'copy' = 'waiting'

  constructor(directory: string) {
    this.#directory = directory
  }

  keep(): void {
    if (this.#state !== 'waiting') return
    try {
      linkSync(join(this.#directory, STDOUT_LOG), join(this.#directory, TRANSCRIPT))
      this.#state = 'linked'
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') this.#state = 'linked'
      // The log is made with the first byte that masking lets through.
      else if (code !== 'ENOENT') this.#state = 'copy'
    }
  }

  /** A file system without links has it twice. */
  end(): void {
    this.keep()
    if (this.#state !== 'copy') return
    try {
      copyFileSync(join(this.#directory, STDOUT_LOG), join(this.#directory, TRANSCRIPT))
    } catch {
      // stdout.log holds the same.
    }
  }
}
