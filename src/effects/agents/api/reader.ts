// Owns: what the program's lines mean for an attempt. Lost, doubled and disordered lines are noticed by their numbers.
import type { AgentEvent, AgentExit, AgentReader, Verdict } from '../adapter.ts'
import { messageSchema, type ApiMessage } from './protocol.ts'

/** Numbers of lines. */
const REMEMBERED = 10_000

type Result = Extract<ApiMessage, { type: 'result' }>

export function apiReader(): AgentReader {
  const seen = new Set<number>()
  let finished = 0
  let result: Result | undefined
  return {
    stdout(line) {
      const message = parsed(line)
      if (!message || seen.has(message.n)) return []
      seen.add(message.n)
      // A line that comes again comes soon.
      if (seen.size > REMEMBERED) seen.delete(seen.keys().next().value!)
      if (message.type === 'request.finished') finished++
      if (message.type === 'result') result = message
      return eventsOf(message)
    },
    end: (exit) => ({ events: [], verdict: verdictOf(result, finished, exit) }),
  }
}

function parsed(line: string): ApiMessage | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return messageSchema.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}

function eventsOf(message: ApiMessage): AgentEvent[] {
  const { at } = message
  switch (message.type) {
    case 'session':
      return [{ type: 'session', id: message.id, model: message.model, version: message.version }]
    case 'request.started':
    case 'alive':
      return [{ type: 'alive' }]
    case 'request.finished':
      // What it held for this request and did not spend is given back.
      return [callOf(message), { type: 'reserve', id: '', usd: 0, tokens: 0 }]
    case 'retry':
      return [
        { type: 'retry', message: message.message, httpStatus: message.http_status, errorClass: message.error_class },
      ]
    case 'text':
      return [{ type: 'text', text: message.text }]
    case 'tool.started':
      return [{ type: 'tool.started', id: message.id, name: message.name, input: message.input, at }]
    case 'tool.finished':
      return [
        {
          type: 'tool.finished',
          id: message.id,
          ok: message.ok,
          exitCode: message.exit_code,
          output: message.output,
          error: message.error,
          at,
        },
      ]
    case 'warning':
      return [{ type: 'warning', message: message.message }]
    case 'reserve':
      return [{ type: 'reserve', id: message.id, usd: message.usd, tokens: message.tokens }]
    case 'result':
      return message.status === 'killed'
        ? []
        : [{ type: 'result', text: message.text, structured: message.structured ?? undefined }]
  }
}

const callOf = (message: Extract<ApiMessage, { type: 'request.finished' }>): AgentEvent => ({
  type: 'call',
  id: message.id,
  model: message.model,
  startedAt: message.started_at,
  endedAt: message.at,
  tokens: message.tokens ?? undefined,
  finishReason: message.finish_reason,
  text: message.text,
  ...(message.error && { error: { errorClass: message.error.error_class, message: message.error.message } }),
})

function verdictOf(result: Result | undefined, finished: number, exit: AgentExit): Verdict {
  if (!result) return noResult(exit)
  const { status, error_class, message, http_status, resets_at, usage_complete, requests } = result
  return {
    status,
    ...(status !== 'ok' && { errorClass: error_class ?? (status === 'killed' ? undefined : 'unknown') }),
    ...(message !== undefined && { message }),
    ...(http_status !== undefined && { httpStatus: http_status }),
    ...(resets_at !== undefined && { resetsAt: resets_at }),
    usageComplete: usage_complete && finished === requests,
    ...(status === 'ok' &&
      exit.exitCode !== 0 &&
      exit.ended === undefined && {
        warnings: [`the program ended by ${exit.signal ?? `exit code ${exit.exitCode ?? 'unknown'}`} after its result`],
      }),
  }
}

function noResult(exit: AgentExit): Verdict {
  if (exit.ended !== undefined || exit.signal !== undefined)
    return { status: 'killed', message: 'ended before its result', usageComplete: false }
  const said = exit.stderr.trim().split('\n').at(-1)
  return {
    status: 'error',
    errorClass: 'truncated_output',
    message: `the api agent ended with exit code ${exit.exitCode ?? 'unknown'} and no result${said ? `: ${said}` : ''}`,
    usageComplete: false,
  }
}
