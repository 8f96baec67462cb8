// Owns: what a step of the example tells the pipeline: the outcome file named by SPANWRIGHT_OUTCOME, as JSON.
import { writeFileSync } from 'node:fs'

/** Reports success with these outputs. Outside a pipeline it prints them. */
export function succeed(outputs) {
  report({ result: 'success', outputs })
}

/** Reports a failure in one sentence and ends the step. */
export function fail(message) {
  report({ result: 'failure', failure: { message } })
  process.exit(1)
}

function report(outcome) {
  const file = process.env.SPANWRIGHT_OUTCOME
  if (file === undefined) console.log(JSON.stringify(outcome, null, 2))
  else writeFileSync(file, JSON.stringify(outcome))
}
