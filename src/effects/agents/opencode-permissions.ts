// Owns: what OpenCode is allowed at each permission level, in its own rules. Nobody is there to be asked: what it would ask
// for ends the run without a word, so it is decided beforehand.
import type { AgentSpec } from '../../core/agent.ts'
import { asFields, objectIn, type Fields } from './loose-json.ts'

type Rule = 'allow' | 'deny'
type Rules = Record<string, Rule | Record<string, Rule>>

/** Files outside of the working directory, and files of secrets: by default the client asks. */
const OUTSIDE: Rules = {
  external_directory: 'deny',
  read: { '*.env': 'deny', '*.env.*': 'deny', '*.env.example': 'allow' },
}
/** Equal calls in a row are a stall: `stalls.loop` says what follows. */
const LOOPS: Rules = { doom_loop: 'allow' }
const LOOKING = ['glob', 'grep', 'list', 'webfetch', 'websearch', 'skill', 'todowrite', 'task', 'lsp'] as const

const LEVELS: Readonly<Record<AgentSpec['permission'], Rules>> = {
  read: {
    '*': 'deny',
    edit: 'deny',
    bash: 'deny',
    ...Object.fromEntries(LOOKING.map((name) => [name, 'allow'])),
    ...OUTSIDE,
    read: { '*': 'allow', '*.env': 'deny', '*.env.*': 'deny', '*.env.example': 'allow' },
    ...LOOPS,
  },
  workspace: { ...OUTSIDE, ...LOOPS },
  full: { external_directory: 'allow', read: 'allow', ...LOOPS },
}

/** Tools that share a rule. */
const RULE_OF: Readonly<Record<string, string>> = {
  write: 'edit',
  patch: 'edit',
  multiedit: 'edit',
  apply_patch: 'edit',
}

/** The value of OPENCODE_PERMISSION: laid over the user's own rules, of which the last that matches counts. */
export function permissionRules(spec: AgentSpec, before: string | undefined): string {
  const rules: Record<string, unknown> = { ...objectIn(before ?? '') }
  for (const [name, rule] of Object.entries(LEVELS[spec.permission])) merge(rules, name, rule)
  for (const tool of spec.allowed_tools ?? []) addTool(rules, tool, 'allow')
  for (const tool of spec.denied_tools ?? []) addTool(rules, tool, 'deny')
  return JSON.stringify(rules)
}

/** `bash`, or `bash(git push*)` for some of its calls. */
function addTool(rules: Record<string, unknown>, tool: string, rule: Rule): void {
  const [, called = tool, pattern] = /^([^()]+)\((.*)\)$/s.exec(tool.trim()) ?? []
  const name = RULE_OF[called.trim().toLowerCase()] ?? called.trim().toLowerCase()
  merge(rules, name, pattern === undefined ? rule : { [pattern]: rule })
}

/** A rule for all calls replaces what was there; one for some is put behind it. */
function merge(rules: Record<string, unknown>, name: string, rule: Rules[string]): void {
  if (typeof rule === 'string') {
    rules[name] = rule
    return
  }
  const there = rules[name]
  const patterns: Fields = typeof there === 'string' ? { '*': there } : (asFields(there) ?? {})
  const kept = Object.entries(patterns).filter(([pattern]) => !(pattern in rule))
  rules[name] = { ...Object.fromEntries(kept), ...rule }
}
