// Owns: `stack down`: stops the observability stack; its data only goes when that is asked for.
import { SpanwrightError } from '../../core/error.ts'
import type { CommandFunction } from '../command-table.ts'
import { composeFile } from '../stack/compose-file.ts'
import { compose, requireDocker } from '../stack/docker.ts'

export const stackDown: CommandFunction = async ({ options, output }) => {
  const file = composeFile(options['file'] as string | undefined)
  await requireDocker()
  const volumes = options['volumes'] === true
  // Loki belongs to it, whether this start had it or not.
  const call = { file, env: { COMPOSE_PROFILES: 'loki' } }
  const exitCode = await compose(call, ['down', '--remove-orphans', ...(volumes ? ['--volumes'] : [])])
  if (exitCode === 130) return exitCode
  if (exitCode !== 0)
    throw new SpanwrightError(
      'stack.compose_failed',
      `docker compose could not stop the stack (exit code ${exitCode}); what it said stands above`,
    )
  output.say(
    volumes
      ? 'Stopped; traces, samples, silences and queues are deleted.'
      : 'Stopped. Traces, samples, silences and queues are kept; spanwright stack down --volumes deletes them.',
  )
  return 0
}
