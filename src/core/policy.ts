// Owns: small pure rules: the delay before a retry, how results roll up, when a join is met.
import type { Failure, Result } from './failure.ts'
import { hashUnit } from './hash.ts'
import type { Check, Join, Retry } from './pipeline.ts'

/**
 * Milliseconds before retry number `retry` (1 = the first). Jitter is deterministic: the same run and attempt always
 * wait equally long, so that a replay or a recovering process does the same.
 */
export function retryDelay(policy: Retry, retry: number, runId: string, attemptId: string): number {
  const base = Math.min(policy.max_ms, policy.initial_ms * policy.factor ** (retry - 1))
  const spread = policy.jitter * (2 * hashUnit(`${runId} ${attemptId}`) - 1)
  return Math.max(0, Math.round(base * (1 + spread)))
}

const ORDER: readonly Result[] = ['error', 'failure', 'timeout', 'cancellation', 'success']

/** Any error > failure > timeout > cancellation > success; nothing but skips (or nothing at all) = skip. */
export function worstOf(a: Result | undefined, b: Result): Result {
  if (a === undefined || a === 'skip') return b
  if (b === 'skip') return a
  return ORDER.indexOf(a) <= ORDER.indexOf(b) ? a : b
}

export const isFailing = (result: Result | undefined): boolean =>
  result === 'failure' || result === 'error' || result === 'timeout'

/** Nobody will go back into it: no resume, no retry. */
export const endedWell = (result: Result): boolean => result === 'success' || result === 'skip'

/** Skipped by `--only` or `--from`: nobody waits for what it would have given. */
export const isLeftOut = (node: { readonly failure: Failure | undefined }): boolean =>
  node.failure?.code === 'not_reached' && node.failure.details?.['selection'] !== undefined

/** Positions in the node's list of checks, in the order in which they run: by level, else as written. */
export function checkOrder(def: { readonly checks: readonly Check[] }): readonly number[] {
  const rank = (index: number): string => def.checks[index]!.level
  return def.checks.map((_, index) => index).sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : a - b))
}

/** How many branches have to succeed. */
export function neededSuccesses(join: Join, total: number): number {
  switch (join.kind) {
    case 'all':
      return total
    case 'any':
      return 1
    case 'at_least':
      return join.count
    case 'quorum':
      return Math.ceil(join.share * total - 1e-9)
  }
}
