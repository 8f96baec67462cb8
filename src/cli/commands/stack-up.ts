// Owns: `stack up`: starts the observability stack, waits until every part of it answers, prints where it is.
import { parseDuration } from '../../core/duration.ts'
import { SpanwrightError } from '../../core/error.ts'
import type { CommandFunction, Invocation } from '../command-table.ts'
import { localAddresses } from '../stack/addresses.ts'
import { awaitParts } from '../stack/await-parts.ts'
import { composeFile, stackSettings } from '../stack/compose-file.ts'
import { compose, composeCommand, requireDocker } from '../stack/docker.ts'
import { explainAll, type Explained } from '../stack/explain.ts'
import { probeAll } from '../stack/probe.ts'
import { renderLinks } from '../stack/render.ts'
import { glyphPiece, paint, piece } from '../terminal/style.ts'

const DEFAULT_TIMEOUT = '120s'

export const stackUp: CommandFunction = async ({ options, output }) => {
  const { text, timeoutMs } = timeoutOf(options)
  const file = composeFile(options['file'] as string | undefined)
  const settings = stackSettings(file)
  const loki = options['loki'] === true || (settings('COMPOSE_PROFILES') ?? '').split(',').includes('loki')
  const addresses = localAddresses(settings, loki)
  await requireDocker()
  // Always said: other profiles of the user's environment are other projects', and any would count as Loki's.
  const call = { file, env: { COMPOSE_PROFILES: loki ? 'loki' : '' } }
  const exitCode = await compose(call, ['up', '--detach'])
  if (exitCode === 130) return exitCode
  const look = output.progressLook
  const started = exitCode === 0
  if (started) output.say(paint([piece(` Started. Waiting until every part answers, at most ${text}.`, 'dim')], look))
  const reports = started
    ? await awaitParts(addresses, {
        timeoutMs,
        onUp: ({ part }) => output.say(paint([piece(' '), glyphPiece('success', look), piece(` ${part.name}`)], look)),
      })
    : await probeAll(addresses)
  const explained = await explainAll(reports, { call, settings })
  const missing = explained.filter(({ state }) => state !== 'up')
  const logs = `look: ${composeCommand(file, 'logs', '--tail', '50')}`
  if (!started) {
    const message = `docker compose could not start the stack (exit code ${exitCode}); what it said stands above`
    throw new SpanwrightError('stack.compose_failed', message, { details: [...missing.flatMap(linesOf), logs] })
  }
  if (missing.length > 0) {
    const names = missing.map(({ part }) => part.name).join(', ')
    const message = `${missing.length} of ${reports.length} parts of the stack did not answer within ${text}: ${names}`
    throw new SpanwrightError('stack.not_ready', message, { details: [...missing.flatMap(linesOf), logs] })
  }
  output.say('')
  output.result(...renderLinks(addresses, output.look))
  return 0
}

function timeoutOf(options: Invocation['options']): { readonly text: string; readonly timeoutMs: number } {
  const text = typeof options['timeout'] === 'string' ? options['timeout'] : DEFAULT_TIMEOUT
  const timeoutMs = parseDuration(text)
  if (timeoutMs !== undefined) return { text, timeoutMs }
  throw new SpanwrightError('usage.invalid', `--timeout ${text}: expected a duration with a unit, such as 120s or 5m`)
}

const linesOf = ({ part, reason, log, advice }: Explained): string[] => [
  `${part.name}: ${reason ?? 'not ready'}`,
  ...log.map((text) => `| ${text}`),
  ...(advice === undefined ? [] : [`${part.name}: ${advice}`]),
]
