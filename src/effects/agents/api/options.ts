// Owns: the arguments of the `api` agent (`args:`): what can be set besides the keys of the pipeline.
import { parseArgs } from 'node:util'
import { parseDuration } from '../../../core/duration.ts'
import { messageOf } from '../../reason.ts'
import type { ApiRequest } from './protocol.ts'

type Options = Pick<
  ApiRequest,
  'max_output_tokens' | 'idle_timeout_ms' | 'command_timeout_ms' | 'max_retries' | 'retry_delay_ms'
> &
  Partial<Pick<ApiRequest, 'temperature' | 'reasoning_effort'>>

const KNOWN = {
  'max-output-tokens': { type: 'string', default: '32000' },
  'idle-timeout': { type: 'string', default: '5m' },
  'command-timeout': { type: 'string', default: '10m' },
  'max-retries': { type: 'string', default: '3' },
  'retry-delay': { type: 'string', default: '1s' },
  temperature: { type: 'string' },
  'reasoning-effort': { type: 'string' },
} as const
/** A timer of Node that is longer ends at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
type Values = { readonly [name in keyof typeof KNOWN]?: string }

/** What the arguments say, or a sentence on what is wrong with them. */
export function optionsOf(args: readonly string[]): Options | { readonly problem: string } {
  try {
    const { values } = parseArgs({ args: [...args], options: KNOWN, strict: true, allowPositionals: false })
    const { temperature, 'reasoning-effort': effort } = values
    return {
      max_output_tokens: whole(values, 'max-output-tokens', 1),
      idle_timeout_ms: duration(values, 'idle-timeout'),
      command_timeout_ms: duration(values, 'command-timeout'),
      max_retries: whole(values, 'max-retries', 0),
      retry_delay_ms: duration(values, 'retry-delay'),
      ...(temperature !== undefined && { temperature: number(temperature) }),
      ...(effort !== undefined && { reasoning_effort: effort }),
    }
  } catch (error) {
    const names = Object.keys(KNOWN).map((name) => `--${name}`)
    return { problem: `args: ${messageOf(error)} (there are ${names.join(', ')})` }
  }
}

function whole(values: Values, name: keyof Values, least: number): number {
  const value = Number(values[name])
  if (!Number.isInteger(value) || value < least) throw new Error(`--${name} has to be a whole number from ${least} on`)
  return value
}

function duration(values: Values, name: keyof Values): number {
  const ms = parseDuration(values[name] ?? '')
  if (ms === undefined || ms === 0) throw new Error(`--${name} has to be a duration such as 30s`)
  return Math.min(ms, LONGEST_TIMER_MS)
}

function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new Error('--temperature has to be a number')
  return value
}
