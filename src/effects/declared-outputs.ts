// Owns: whether a step gave the outputs its node declares, and whether they fit an entry of the journal.
import type { FailureReport, FailureSource } from '../core/failure.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import { misfit } from './json-schema.ts'
import { reason, shortened } from './reason.ts'

/** An entry holds more than the outputs; this much of it is theirs. */
const OUTPUT_BYTES = LIMITS.entryBytes - LIMITS.tailBytes

export interface DeclaredOutputs {
  readonly [name: string]: JsonObject
}

/**
 * The outputs of a successful step, or `invalid_output` naming the output, what was expected and what was there. Texts
 * (from the outputs file) of outputs declared with another type are read as JSON. Every declared output must be there.
 */
export function checkOutputs(
  outputs: JsonObject,
  texts: JsonObject,
  declared: DeclaredOutputs | undefined,
  source: FailureSource,
): { readonly outputs: JsonObject } | { readonly failure: FailureReport } {
  const merged: JsonObject = { ...texts, ...outputs }
  const bytes = Buffer.byteLength(JSON.stringify(merged))
  if (bytes > OUTPUT_BYTES) {
    return {
      failure: reason(
        'invalid_output',
        `the outputs have ${bytes} bytes, more than the ${OUTPUT_BYTES} a step may give: write large values to a file and give its path`,
        source,
        { bytes },
      ),
    }
  }
  if (!declared) return { outputs: merged }
  const result: { [name: string]: Json } = { ...merged }
  for (const [name, schema] of Object.entries(declared)) {
    if (!Object.hasOwn(merged, name)) {
      const given = Object.keys(merged)
      return {
        failure: reason(
          'invalid_output',
          `output ${name} is missing: the step must give it (it gave ${given.length > 0 ? shortened(given.join(', '), 200) : 'none'})`,
          source,
          { output: name },
        ),
      }
    }
    const value = merged[name]!
    let problem = misfit(schema, value)
    if (problem !== undefined && !Object.hasOwn(outputs, name) && typeof value === 'string') {
      const read = asJson(value)
      if (read !== undefined && misfit(schema, read) === undefined) {
        result[name] = read
        problem = undefined
      }
    }
    if (problem !== undefined) {
      return {
        failure: reason(
          'invalid_output',
          // What a command gave is named; an agent's answer is content and stays in the details.
          `output ${name} does not fit its schema: ${problem}${source === 'agent' ? '' : `; got ${shortened(JSON.stringify(value), 200)}`}`,
          source,
          {
            output: name,
            ...(source === 'agent' && { got: shortened(JSON.stringify(value), 500) }),
            expected: schema,
          },
        ),
      }
    }
  }
  return { outputs: result }
}

function asJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}
