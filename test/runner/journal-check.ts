// Owns: what must hold of every journal of an ended run (I4): each start has exactly one end, in order.
import type { Entry } from '../../src/core/events.ts'

/** Problems of a journal, one sentence each; none for a sound one. */
export function journalProblems(entries: readonly Entry[]): string[] {
  const problems: string[] = []
  const open = new Map<string, number>()
  const ended = new Set<string>()
  let execution = 0
  let executionOpen = false
  for (const [index, { seq, event }] of entries.entries()) {
    if (seq !== index + 1) problems.push(`entry ${index + 1} has seq ${seq}`)
    if (!executionOpen && event.type !== 'run.created' && event.type !== 'run.resumed')
      problems.push(`${seq}: ${event.type} outside of an execution`)
    switch (event.type) {
      case 'run.created':
      case 'run.resumed':
        if (executionOpen) problems.push(`${seq}: execution ${event.execution} begins before ${execution} ended`)
        if (event.execution !== execution + 1)
          problems.push(`${seq}: execution ${event.execution} follows ${execution}`)
        execution = event.execution
        executionOpen = true
        break
      case 'run.interrupted':
      case 'run.finished':
        if (event.execution !== execution)
          problems.push(`${seq}: ${event.type} of execution ${event.execution} in ${execution}`)
        for (const id of open.keys()) problems.push(`${seq}: attempt ${id} is open at ${event.type}`)
        executionOpen = false
        break
      case 'attempt.started':
        if (open.has(event.attempt_id) || ended.has(event.attempt_id))
          problems.push(`${seq}: attempt ${event.attempt_id} starts twice`)
        open.set(event.attempt_id, seq)
        break
      case 'attempt.finished':
      case 'attempt.lost':
        if (!open.delete(event.attempt_id))
          problems.push(`${seq}: ${event.type} of ${event.attempt_id}, which is not open`)
        ended.add(event.attempt_id)
        break
      case 'attempt.progressed':
      case 'attempt.waiting':
      case 'attempt.acted':
        if (!open.has(event.attempt_id)) problems.push(`${seq}: ${event.type} of ${event.attempt_id} after its end`)
        break
      default:
    }
  }
  if (executionOpen) problems.push(`execution ${execution} has no end`)
  return problems
}
