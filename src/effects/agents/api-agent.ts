// Owns: the program of the `api` agent: reads its request, holds the conversation, says its result and ends. SIGTERM and
// SIGINT end the request and the command under way; what was used is said first. Its words are in api/protocol.ts.
// Must not: be imported.
import { converse } from './api/conversation.ts'
import { modelOf } from './api/model.ts'
import { requestSchema, type ApiRequest, type ApiResult } from './api/protocol.ts'
import { Wire } from './api/wire.ts'

const aborting = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => aborting.abort())
// A late rejection inside a library must not turn a finished conversation into a crash.
process.on('unhandledRejection', (error) => {
  process.stderr.write(`unhandled: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
})

const EXIT_CODES: Readonly<Record<ApiResult['status'], number>> = { ok: 0, error: 1, limit: 1, denied: 1, killed: 143 }

async function main(): Promise<number> {
  const wire = new Wire(process.stdout, process.stdin)
  const line = await wire.first
  if (line === undefined) {
    process.stderr.write('the first line of standard input has to be the request\n')
    return 2
  }
  const request = requestSchema.parse(JSON.parse(line))
  wire.say({ type: 'session', id: request.session.id, model: request.model, version: request.version })
  const result = await talk(request, wire)
  wire.say({ type: 'result', ...result })
  await wire.flushed()
  return EXIT_CODES[result.status]
}

async function talk(request: ApiRequest, wire: Wire): Promise<ApiResult> {
  try {
    const model = modelOf(request, process.env)
    return await converse({ request, model, wire, toolEnv: withoutKey(request.api_key), signal: aborting.signal })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { status: 'error', error_class: 'unknown', message, requests: 0, usage_complete: false }
  }
}

/** The environment without the provider's key, under whatever name. */
const withoutKey = (key: string): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([, value]) => key === '' || value !== key))

process.exit(await main())
