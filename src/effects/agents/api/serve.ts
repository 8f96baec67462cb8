// Owns: the program of the `api` agent but for the process: request in, conversation, result out.
import type { Readable, Writable } from 'node:stream'
import { converse } from './conversation.ts'
import { modelOf } from './model.ts'
import { requestSchema, type ApiRequest, type ApiResult } from './protocol.ts'
import { Wire } from './wire.ts'

export interface Surroundings {
  readonly input: Readable
  readonly output: Writable
  readonly env: NodeJS.ProcessEnv
  /** Ends the request and the command under way. */
  readonly signal: AbortSignal
}

const EXIT_CODES: Readonly<Record<ApiResult['status'], number>> = { ok: 0, error: 1, limit: 1, denied: 1, killed: 143 }

/** Resolves to the exit code when everything is said. Throws when the input does not begin with a request. */
export async function serve(around: Surroundings): Promise<number> {
  const wire = new Wire(around.output, around.input)
  const line = await wire.first
  if (line === undefined) throw new Error('the first line of standard input has to be the request')
  const request = requestSchema.parse(JSON.parse(line))
  wire.say({ type: 'session', id: request.session.id, model: request.model, version: request.version })
  const result = await talk(request, wire, around)
  wire.say({ type: 'result', ...result })
  await wire.flushed()
  return EXIT_CODES[result.status]
}

async function talk(request: ApiRequest, wire: Wire, { env, signal }: Surroundings): Promise<ApiResult> {
  try {
    const model = modelOf(request, env)
    return await converse({ request, model, wire, toolEnv: env, signal })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { status: 'error', error_class: 'unknown', message, requests: 0, usage_complete: false }
  }
}
