// Owns: the port between one agent client and the rest: how it is started, what its output means, what its end means. An
// adapter translates; it keeps no files, starts no process, decides no retry and knows no journal.
import type { AgentName, AgentSpec } from '../../core/agent.ts'
import type { JsonObject } from '../../core/json.ts'
import type { Cost, Session, Tokens } from '../../core/outcome.ts'
import type { Price } from '../../core/pipeline.ts'
import type { Environment } from '../environment.ts'

/** What an attempt asks of a client, templates filled. */
export interface AgentRequest {
  readonly spec: AgentSpec
  /** Complete: with retry context, answers, history and how a decision is to be told. */
  readonly prompt: string
  /** Absolute; the client's working directory. */
  readonly cwd: string
  /** Absolute directory of the attempt: for files the client needs (a schema, settings). */
  readonly attemptDir: string
  /** 1, or more after a wait for a limit in the same attempt. */
  readonly launch: number
  /** The conversation to go on with; `totals` = what it had used in all before. */
  readonly session?: Session | undefined
  /** A fresh UUID for clients that take the id of a new conversation. */
  readonly newSessionId: string
  /** US dollars that enforced budgets leave. */
  readonly usdLeft?: number | undefined
  /** The pipeline's own, for who says beforehand what a request may cost. */
  readonly prices?: { readonly [model: string]: Price } | undefined
  /** Absolute; the home directory it gets. */
  readonly home: string
  readonly isolated: boolean
  /** What it would inherit, after the allow-list and with the declared env and secrets. */
  readonly env: Environment
  /** Values of the node's expressions, for a command line of its own. */
  readonly inputs?: JsonObject | undefined
}

export interface AgentLaunch {
  /** Program: a name on PATH or a path. */
  readonly file: string
  readonly args: readonly string[]
  /** Written to its standard input, which is then closed (unless `dialogue`). Absent = empty. */
  readonly stdin?: string | undefined
  /** Its standard input stays open after `stdin`: what answers its `reserve` events is written to it, a JSON line each. */
  readonly dialogue?: boolean | undefined
  /** Over `request.env`. An empty string takes a variable away. */
  readonly env: Environment
  /**
   * Written before the start; absolute paths below the attempt's directory or an isolated home. They hold secrets as long
   * as the client runs.
   */
  readonly files?: readonly { readonly path: string; readonly text: string }[] | undefined
  /**
   * Files that the client writes beside its output and whose lines the reader gets as `side`: they tell what the stream
   * does not (tokens of each request). Asked again and again while it runs, as there may be more of them (one for each
   * subagent); each is read from its beginning, at least every 100 ms and once more after the process is gone.
   */
  readonly side?: (() => readonly string[]) | undefined
}

/** What one line of output says. Times are epoch ms: the client's own where it tells them, else of arrival. */
export type AgentEvent =
  /** Any of it as soon as it is known. */
  | { readonly type: 'session'; readonly id?: string; readonly model?: string; readonly version?: string }
  /** Text of the assistant, complete blocks. `final`: the text of the answer so far. */
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'tool.started'
      readonly id: string
      readonly name: string
      readonly input: unknown
      readonly at: number
    }
  | {
      readonly type: 'tool.finished'
      readonly id: string
      readonly ok: boolean
      readonly exitCode?: number | undefined
      readonly output: string
      readonly error?: string | undefined
      readonly at: number
    }
  /** One request to a model is over (also one that failed and will be tried again). */
  | {
      readonly type: 'call'
      /** The same id again replaces what was known of that request. */
      readonly id?: string | undefined
      readonly model?: string | undefined
      readonly startedAt?: number | undefined
      readonly endedAt: number
      readonly tokens?: Tokens | undefined
      /** Told by the client. Absent: computed from the tokens. */
      readonly usd?: number | undefined
      readonly finishReason?: string | undefined
      readonly text?: string | undefined
      readonly error?: { readonly errorClass: ErrorClass; readonly message: string } | undefined
      /** Of a subagent. */
      readonly subagent?: boolean | undefined
    }
  /** Sums of this launch, absolute, subagents included (a resumed conversation's earlier use taken off). They beat the calls. */
  | {
      readonly type: 'spent'
      readonly tokens?: Tokens | undefined
      readonly models?: Readonly<Record<string, ModelSpent>>
      readonly cost?: Cost | undefined
      readonly turns?: number | undefined
    }
  /** What the client counts for the whole conversation so far. */
  | { readonly type: 'totals'; readonly totals: NonNullable<Session['totals']> }
  /** The client tries a request again by itself. */
  | {
      readonly type: 'retry'
      readonly message: string
      readonly httpStatus?: number | undefined
      readonly errorClass?: ErrorClass | undefined
    }
  | { readonly type: 'warning'; readonly message: string }
  /** Something that is no text and no tool but shows that it works. */
  | { readonly type: 'alive' }
  /**
   * A limit was reached that the client cannot keep by itself: the runtime ends it now (`ended: 'limit'`), and the
   * verdict tells which.
   */
  | { readonly type: 'limit'; readonly errorClass: 'max_turns' | 'context_length' | 'network' }
  /** Its last word: from now on the process only has to go. `text` replaces the text so far. */
  | { readonly type: 'result'; readonly text?: string | undefined; readonly structured?: unknown }
  /**
   * `dialogue` only: it asks whether it may spend so much (absolute, for all its calls under way). The answer is one line
   * to its standard input: `{"type":"grant","id":…}` or `{"type":"refuse","id":…,"reason":…}`.
   */
  | {
      readonly type: 'reserve'
      readonly id: string
      readonly usd?: number | undefined
      readonly tokens?: number | undefined
    }

export interface ModelSpent extends Tokens {
  readonly usd?: number | null | undefined
}

/** Why an agent did not do its work, as far as its client tells (DESIGN 5); outcome.ts maps it to failure codes. */
export const ERROR_CLASSES = [
  'auth',
  'rate_limit',
  'quota',
  'overloaded',
  'server',
  'stream',
  'network',
  'bad_request',
  'not_found',
  'usage',
  'context_length',
  'max_turns',
  'budget',
  'loop',
  'truncated_output',
  'output_limit',
  'content_filter',
  'denied',
  'unknown',
] as const
export type ErrorClass = (typeof ERROR_CLASSES)[number]

/** How the process ended. */
export interface AgentExit {
  readonly exitCode?: number | undefined
  readonly signal?: string | undefined
  /** Why we ended it: `result` = it lived on after its result, `limit` = its reader said so. Absent: it ended by itself. */
  readonly ended?: 'stop' | 'timeout' | 'stall' | 'result' | 'limit' | undefined
  /** The last 16 KiB. */
  readonly stderr: string
  /** An unterminated last line of its stdout. */
  readonly rest: string
}

/** What all of it comes to. */
export interface Verdict {
  /** killed = we or a signal ended it before its result; denied = it was not allowed what it needed. */
  readonly status: 'ok' | 'error' | 'limit' | 'killed' | 'denied'
  readonly errorClass?: ErrorClass | undefined
  /** One sentence for people, with what the provider said. */
  readonly message?: string | undefined
  readonly httpStatus?: number | undefined
  /** Epoch ms at which a limit ends, if client or provider named it. */
  readonly resetsAt?: number | undefined
  /** False: some of what was spent is not known. */
  readonly usageComplete: boolean
  readonly warnings?: readonly string[] | undefined
}

/** Reads one launch. Lines that are no JSON, unknown types and reordered keys are its normal business; it never throws. */
export interface AgentReader {
  /** One line of stdout without its end. */
  stdout(line: string, at: number): readonly AgentEvent[]
  stderr?(line: string, at: number): readonly AgentEvent[]
  /** @param file which of `launch.side`'s the line is from */
  side?(line: string, at: number, file: string): readonly AgentEvent[]
  /** Called once, after the last line. Events first, then the verdict over everything. */
  end(exit: AgentExit, at: number): { readonly events: readonly AgentEvent[]; readonly verdict: Verdict }
}

export interface AgentAdapter {
  readonly name: AgentName
  /** It prints text for people and no events: silence at its start is no stall, its exit code counts, there is no transcript. */
  readonly text?: boolean | undefined
  /** Program on PATH, absent for those that bring their own. */
  readonly program?: string | undefined
  /** Versions whose behaviour is known, as ranges `2.1.x`; another one is warned about once. */
  readonly versions: readonly string[]
  /** From the output of `--version`. */
  readonly parseVersion: (output: string) => string | undefined
  /** Flags that must be in its `--help` for a request like this; checked by the preflight. */
  readonly flags: readonly string[]
  /** Why it has no credentials for sure, and what to set; undefined = it has, or that cannot be told. */
  credentialProblem(spec: AgentSpec, env: Environment, home: string): string | undefined
  /** What is asked for and it can never do, known before a run; the same sentence as the `problem` of a launch. */
  unsupported?(spec: AgentSpec, env: Environment): string | undefined
  /** What it counts goes on over all launches of one conversation (its `totals` events). */
  readonly accumulates?: boolean | undefined
  /** Whether money can be counted: the client tells its cost, whatever the model. */
  readonly reportsCost: boolean
  /** What the user asked for and this client cannot do is a `problem`: a sentence that names the key and what to write instead. */
  launch(request: AgentRequest): AgentLaunch | { readonly problem: string }
  /** @param request the very object that `launch` was given, before the start */
  reader(request: AgentRequest): AgentReader
}
