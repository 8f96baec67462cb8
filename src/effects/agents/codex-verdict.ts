// Owns: what a launch of Codex comes to: the end of its turn first, then how the process ended and what it wrote to stderr.
// Its exit codes: 0 success, 1 any failure, 2 arguments; a signal ends it without a last word.
import type { AgentExit, ErrorClass, Verdict } from './adapter.ts'
import { codexError, type CodexError } from './codex-errors.ts'
import { wasKilled } from './exits.ts'
import { lastBytes, oneLine, shortened } from '../reason.ts'

export interface Evidence {
  /** It began a conversation. */
  readonly started: boolean
  readonly final: 'completed' | 'failed' | undefined
  readonly error: CodexError | undefined
  /** Epoch ms, from its rollout. */
  readonly limitEndsAt: number | undefined
  readonly usageComplete: boolean
  /** Its reader asked for its end. */
  readonly limit: ErrorClass | undefined
  readonly maxTurns: number | undefined
}

export function codexVerdict(evidence: Evidence, exit: AgentExit, at: number): Verdict {
  const { usageComplete, error } = evidence
  if (evidence.final === 'completed') return completed(exit, usageComplete)
  if (evidence.final === 'failed' && error) return failed(error, evidence)
  if (exit.ended === 'limit' && evidence.limit === 'network' && error) return failed(error, evidence)
  if (exit.ended === 'limit')
    return {
      status: 'limit',
      errorClass: 'max_turns',
      message: `codex was ended at its limit of ${evidence.maxTurns ?? 'some'} turns`,
      usageComplete,
    }
  if (wasKilled(exit)) {
    const by = exit.signal ?? (exit.ended === undefined ? `a signal (exit code ${exit.exitCode})` : undefined)
    const how = by === undefined ? '' : ` by ${by}`
    const last = error ? `; its last error: ${error.message}` : ''
    return { status: 'killed', message: `codex was ended${how} before its turn was complete${last}`, usageComplete }
  }
  if (error && exit.exitCode !== 0) return failed(error, evidence)
  return evidence.started ? cutOff(exit) : notStarted(exit, at)
}

/** What it said before counts, whatever became of the process afterwards. */
function completed(exit: AgentExit, usageComplete: boolean): Verdict {
  const odd = exit.ended === undefined && exit.signal === undefined && exit.exitCode !== 0
  return {
    status: 'ok',
    usageComplete,
    ...(odd && { warnings: [`codex exited with ${exit.exitCode} after its turn was complete`] }),
  }
}

const failed = (error: CodexError, { usageComplete, limitEndsAt }: Evidence): Verdict => ({
  status: error.errorClass === 'rate_limit' || error.errorClass === 'quota' ? 'limit' : 'error',
  errorClass: error.errorClass,
  message: error.message,
  httpStatus: error.httpStatus,
  resetsAt: error.resetsAt === undefined ? undefined : (limitEndsAt ?? error.resetsAt),
  usageComplete,
})

const cutOff = (exit: AgentExit): Verdict => ({
  status: 'error',
  errorClass: 'truncated_output',
  message: `codex exited with ${exit.exitCode} without an end of its turn${lastLine(exit.stderr)}`,
  usageComplete: false,
})

const START_ERRORS: readonly (readonly [RegExp, ErrorClass])[] = [
  [/no rollout found|thread\/resume failed|no (?:saved )?session found/i, 'not_found'],
  [/^error: |config\.toml|CODEX_HOME|trusted directory|unknown variant|invalid value|unexpected argument/im, 'usage'],
]

/** It writes nothing to stdout when its arguments, its config or the conversation to go on with are wrong. */
function notStarted(exit: AgentExit, at: number): Verdict {
  if (exit.exitCode === 0) return cutOff(exit)
  const known = START_ERRORS.find(([pattern]) => pattern.test(exit.stderr))?.[1]
  const errorClass = known ?? (exit.exitCode === 2 ? 'usage' : codexError(exit.stderr, at).errorClass)
  return {
    status: 'error',
    errorClass: errorClass === 'unknown' ? 'truncated_output' : errorClass,
    message: `codex exited with ${exit.exitCode} before it began${lastLine(exit.stderr)}`,
    // Nothing was asked of a model.
    usageComplete: errorClass === 'usage' || errorClass === 'not_found',
  }
}

/** The first error of the last lines; after it come hints on usage. */
function lastLine(stderr: string): string {
  const lines = lastBytes(stderr, 4_096)
    .split('\n')
    .map(oneLine)
    .filter((line) => line !== '')
  const line = lines.find((text) => /^error/i.test(text)) ?? lines.at(-1)
  return line === undefined ? '' : `: ${shortened(line, 500)}`
}
