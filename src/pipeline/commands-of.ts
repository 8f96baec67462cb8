// Owns: commands, checks and hooks of a pipeline file in the form of the model.
import { parseDuration } from '../core/duration.ts'
import { LIMITS } from '../core/limits.ts'
import { type Check, type CommandLine, type Hook, type HookEvent, type Hooks } from '../core/pipeline.ts'
import type { NodeFile } from './schema-node.ts'
import { compileShell } from './shell.ts'

export type Shell = 'sh' | 'bash'
const NAME_CHARS = 60

/** A string is a script for `shell`, a list a program with its arguments. */
export function commandOf(run: string | readonly string[], shell: Shell): CommandLine {
  if (typeof run !== 'string') return { argv: run }
  const { script, bindings } = compileShell(run, shell)
  return { shell, script, bindings }
}

export function checksOf(checks: NodeFile['checks'], shell: Shell): Check[] {
  return (checks ?? []).map(({ name, run, level, required, timeout }) => ({
    name: name ?? nameOf(run),
    run: commandOf(run, shell),
    level: level ?? 'L1',
    required: required ?? true,
    timeout_ms: durationMs(timeout) ?? LIMITS.checkTimeoutMs,
  }))
}

type HookFile = NonNullable<NonNullable<NodeFile['hooks']>[HookEvent]>[number]

export function hooksOf(hooks: NodeFile['hooks'], shell: Shell): Hooks {
  const list = (event: HookEvent): Hook[] => (hooks?.[event] ?? []).map((hook) => hookOf(hook, shell))
  return {
    on_success: list('on_success'),
    on_failure: list('on_failure'),
    on_finish: list('on_finish'),
    on_retry: list('on_retry'),
  }
}

function hookOf(hook: HookFile, shell: Shell): Hook {
  const { run, name, timeout } =
    typeof hook === 'string' || Array.isArray(hook) ? { run: hook, name: undefined, timeout: undefined } : hook
  return {
    name: name ?? nameOf(run),
    run: commandOf(run, shell),
    timeout_ms: durationMs(timeout) ?? LIMITS.hookTimeoutMs,
  }
}

/** The command itself, as far as it fits a name. */
function nameOf(run: string | readonly string[]): string {
  const line = (typeof run === 'string' ? run.trim() : run.join(' ')).split('\n')[0]!
  return line.length > NAME_CHARS ? `${line.slice(0, NAME_CHARS - 1)}…` : line
}

const durationMs = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseDuration(text)
