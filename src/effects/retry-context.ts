// Owns: what the next attempt is told about the ones before it, as text for people and agents.
import type { RunAttempt } from '../core/commands.ts'
import { originalCause } from '../core/failure.ts'
import { lastBytes } from './reason.ts'

const ATTEMPTS_SHOWN = 5
const TAIL_BYTES = 4_096

/** Newest last; undefined on a first attempt. */
export function retryContext(command: RunAttempt): string | undefined {
  if (command.prior.length === 0) return undefined
  const shown = command.prior.slice(-ATTEMPTS_SHOWN)
  const omitted = command.prior.length - shown.length
  const parts = [
    `# Attempt ${command.attempt} of ${command.max}`,
    `Earlier attempts of this step failed. Do not repeat what failed before; deal with the cause.`,
    ...(omitted > 0 ? [`(${omitted} earlier attempts are not shown.)`] : []),
  ]
  for (const { attempt_id: id, failure } of shown) {
    parts.push(`## ${id}: ${failure.code}`, failure.message)
    const cause = originalCause(failure)
    if (cause !== failure) parts.push(`Cause: ${cause.message} (${cause.code})`)
    const tail = [cause.details?.['stderr_tail'], cause.details?.['stdout_tail']].find(
      (text) => typeof text === 'string' && text !== '',
    )
    if (typeof tail === 'string')
      parts.push(`\`\`\`text\n${lastBytes(tail, TAIL_BYTES).replaceAll('```', "'''").trimEnd()}\n\`\`\``)
  }
  return `${parts.join('\n\n')}\n`
}
