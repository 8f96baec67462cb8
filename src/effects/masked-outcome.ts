// Owns: masking of what a step reports before anybody sees it (I8), so that later steps see what the journal holds.
import type { Json } from '../core/json.ts'
import type { Mask } from '../journal/masking.ts'
import type { Reported } from './reported-outcome.ts'
import type { Warning } from './status-files.ts'

/** The outcome with every text masked; a warning when outputs changed by it. */
export function maskedOutcome(
  reported: Reported,
  mask: Mask,
): { readonly outcome: Reported; readonly warning?: Warning } {
  const { failure, outputs, notes, label, next, questions } = reported
  const maskedOutputs = outputs && mask.json(outputs)
  const outcome: Reported = {
    ...reported,
    ...(failure
      ? {
          failure: {
            ...failure,
            message: mask.text(failure.message),
            ...(failure.details ? { details: mask.json(failure.details) } : {}),
          },
        }
      : {}),
    ...(outputs ? { outputs: maskedOutputs } : {}),
    ...(notes === undefined ? {} : { notes: mask.text(notes) }),
    ...(label === undefined ? {} : { label: mask.text(label) }),
    ...(next === undefined ? {} : { next: mask.text(next) }),
    ...(questions ? { questions: mask.json(questions as unknown as Json[]) as unknown as typeof questions } : {}),
  }
  // The mask gives back the same object where it found nothing.
  const names =
    maskedOutputs === outputs
      ? []
      : Object.keys(outputs ?? {}).filter((name) => outputs![name] !== maskedOutputs![name])
  if (names.length === 0) return { outcome }
  return {
    outcome,
    warning: {
      code: 'outputs_masked',
      message: `a secret in output ${names.slice(0, 5).join(', ')} was masked: later steps see the mask; let them list the secret instead`,
    },
  }
}
