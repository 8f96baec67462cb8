// Owns: the process of the `api` agent: signals, exit code. SIGTERM and SIGINT end the request and the command under way;
// what was used is said first. Must not: be imported.
import { serve } from './api/serve.ts'

const aborting = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => aborting.abort())
// A late rejection inside a library must not turn a finished conversation into a crash.
process.on('unhandledRejection', (error) => {
  process.stderr.write(`unhandled: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
})

const { env, stdin: input, stdout: output } = process
process.exit(await serve({ input, output, env, signal: aborting.signal }))
