// Owns: `npm run stack:native`: collector, Jaeger, Prometheus and Alertmanager without docker, until SIGTERM or Ctrl-C.
// One JSON line with their addresses on stdout once all of them answer; everything else on stderr.
import { parseArgs } from 'node:util'
import { startStack } from './native-stack/stack.ts'

const USAGE = `npm run stack:native -- [--dir DIR] [--alertmanager-config FILE] [--evaluation-interval 1s]
  --dir DIR                  keep data, logs and configuration there (default: a temporary directory, removed at the end)
  --alertmanager-config FILE instead of collector/alertmanager.yml
  --evaluation-interval T    scrape and evaluate every T instead of every 15 s, for tests`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      'dir': { type: 'string' },
      'alertmanager-config': { type: 'string' },
      'evaluation-interval': { type: 'string' },
      'help': { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) {
    console.log(USAGE)
    return
  }
  const end = Promise.withResolvers<number>()
  const told = new AbortController()
  const stop = (why: string): void => {
    told.abort(new Error(`${why} while the servers were being built`))
    end.resolve(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, stop)
  if (process.env['npm_lifecycle_event'] !== undefined) whenParentEnds(() => stop('npm ended'))
  // Told to end while the servers start: they are ended as soon as they are up, a second later.
  const stack = await startStack({
    dir: values.dir,
    alertmanagerConfig: values['alertmanager-config'],
    evaluationInterval: values['evaluation-interval'],
    signal: told.signal,
    onDeath: (reason) => {
      console.error(reason)
      end.resolve(1)
    },
  })
  console.log(JSON.stringify(stack.urls))
  const code = await end.promise
  await stack.stop()
  process.exitCode = code
}

/** npm runs scripts in a shell that takes its signals and does not pass them on. */
function whenParentEnds(ended: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    ended()
  }, 200)
  timer.unref()
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
