// Owns: what the agent of the previous attempt said last and which of its tool calls failed, as parts of a retry context.
import { isJsonObject, type Json } from '../core/json.ts'
import { lastBytes, oneLine, shortened } from './reason.ts'
import type { PriorAttempt } from './retry-context-attempts.ts'
import { quoted } from './retry-context-found.ts'
import type { Part } from './retry-context.ts'

const CALLS = 5
const INPUT_CHARS = 300
const OUTPUT_BYTES = 600

export function agentParts({ agent }: PriorAttempt): Part[] {
  if (!agent) return []
  const { final_text: said, tool_calls: calls, cli, model, turns } = agent
  const failed = (Array.isArray(calls) ? calls : []).filter((call) => isJsonObject(call) && call['ok'] === false)
  const who = [cli, model].filter((name) => typeof name === 'string').join(', ')
  const worked = typeof turns === 'number' && turns > 0 ? `, ${turns} ${turns === 1 ? 'turn' : 'turns'}` : ''
  const parts: Part[] = [{ rank: 4, text: `It was done by: ${who}${worked}` }]
  if (typeof said === 'string' && said.trim() !== '')
    parts.push({ rank: 3, text: quoted('What it said last:', said).join('\n') })
  if (failed.length > 0) {
    const lines = unique(failed.map(callText)).slice(-CALLS)
    const count = failed.length === lines.length ? '' : ` (${lines.length} of ${failed.length})`
    parts.push({ rank: 10, text: [`Its last tool calls that failed${count}:`, ...lines].join('\n') })
  }
  return parts
}

/** The last of each; a call that failed again and again says so once. */
const unique = (lines: readonly string[]): string[] => [...new Set(lines.toReversed())].toReversed()

function callText(call: Json): string {
  if (!isJsonObject(call)) return ''
  const { name, input, exit_code: exitCode, output_tail: output } = call
  const asked = typeof input === 'string' ? input : JSON.stringify(input ?? null)
  const code = typeof exitCode === 'number' ? ` exit_code=${exitCode}` : ''
  const said = typeof output === 'string' ? oneLine(lastBytes(output, OUTPUT_BYTES)) : ''
  return `- ${typeof name === 'string' ? name : 'tool'} ${shortened(oneLine(asked), INPUT_CHARS)}${code}${said === '' ? '' : `: ${said}`}`
}
