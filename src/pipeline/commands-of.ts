// Owns: commands, checks and hooks of a pipeline file in the form of the model.
import { parseDuration } from '../core/duration.ts'
import { LIMITS } from '../core/limits.ts'
import { type Check, type CommandLine, type Hook, type HookEvent, type Hooks, type Rule } from '../core/pipeline.ts'
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

type CheckFile = NonNullable<NodeFile['checks']>[number]

export function checksOf(checks: NodeFile['checks'], shell: Shell): Check[] {
  return (checks ?? []).map((check) => ({
    name: check.name ?? nameOf(check.run ?? ruleTitle(check)),
    ...(check.run === undefined ? { rule: ruleOf(check) } : { run: commandOf(check.run, shell) }),
    level: check.level ?? 'L1',
    required: check.required ?? true,
    timeout_ms: durationMs(check.timeout) ?? LIMITS.checkTimeoutMs,
  }))
}

function ruleOf({ files, forbid, scope, outputs }: CheckFile): Rule {
  if (files) return { required_files: files }
  if (scope) return { scope }
  if (outputs) return { outputs_schema: outputs }
  const { paths = [], patterns = [], secrets = false } = forbid ?? {}
  return { forbidden: { paths, patterns, secrets } }
}

function ruleTitle({ files, forbid, scope }: CheckFile): string {
  if (files) return `files ${files.join(' ')}`
  if (scope) return `scope ${scope.join(' ')}`
  if (!forbid) return 'outputs'
  return `forbid ${[...(forbid.paths ?? []), ...(forbid.patterns ?? []), ...(forbid.secrets ? ['secrets'] : [])].join(' ')}`
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
