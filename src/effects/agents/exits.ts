// Owns: what an exit says for every client alike.
import type { AgentExit } from './adapter.ts'

/** 128 + SIGHUP, SIGINT, SIGKILL, SIGTERM: what a process says that caught the signal, or a shell around one that did not. */
const SIGNAL_EXITS: ReadonlySet<number> = new Set([129, 130, 137, 143])

/** A signal ended it, or we did so before its result. */
export const wasKilled = ({ exitCode, signal, ended }: AgentExit): boolean =>
  signal !== undefined || (ended !== undefined ? ended !== 'result' : SIGNAL_EXITS.has(exitCode ?? 0))
