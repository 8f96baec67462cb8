// Owns: the environment of every child (DESIGN 4): what it inherits, what it must not inherit, what it is told.
import type { Place } from '../core/commands.ts'
import type { FailureReport } from '../core/failure.ts'
import type { JsonObject } from '../core/json.ts'
import { asText, expressionsIn, fill } from '../core/template.ts'
import { unfit } from './command-line.ts'
import { MARKERS, withMarker } from './marker.ts'
import { reason } from './reason.ts'

export interface Environment {
  readonly [name: string]: string
}

/** What a child is told about where it runs. Empty strings where something does not apply. */
export interface StepFacts {
  readonly runId: string
  readonly runDir: string
  readonly attemptId?: string | undefined
  readonly attempt?: number | undefined
  readonly maxAttempts?: number | undefined
  /** Directory of the attempt; the outcome, outputs and retry context files are in it. */
  readonly attemptDir?: string | undefined
  /** Hooks only. */
  readonly result?: string | undefined
  readonly failure?: string | undefined
}

export const OUTCOME_FILE = 'outcome.json'
export const OUTPUTS_FILE = 'outputs.txt'
export const RETRY_CONTEXT_FILE = 'retry-context.md'

/** Variables of a step around this run (or of the user's shell) that would lie inside of it. */
const STEP_VARIABLE =
  /^SPANWRIGHT_(?:RUN_ID|NODE|ATTEMPT_ID|ATTEMPT|MAX_ATTEMPTS|VISIT|BRANCH|RUN_DIR|ATTEMPT_DIR|OUTCOME|OUTPUTS|RETRY_CONTEXT|RESULT|FAILURE|SENTINEL|CODEX_OTEL|X\d+)$/
const TELEMETRY_VARIABLE =
  /^(?:OTEL_SERVICE_NAME|OTEL_RESOURCE_ATTRIBUTES|OTEL_(?:.*_)?HEADERS|TRACEPARENT|TRACESTATE|BAGGAGE)$/i

/**
 * What children inherit of the orchestrator's environment: not its telemetry identity and credentials, not the facts
 * of a step it may itself run in, and no declared secret.
 */
export function inheritable(base: NodeJS.ProcessEnv, secretNames: Iterable<string>): Environment {
  const secrets = new Set(secretNames)
  return Object.fromEntries(
    Object.entries(base).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined &&
        !secrets.has(entry[0]) &&
        !STEP_VARIABLE.test(entry[0]) &&
        !TELEMETRY_VARIABLE.test(entry[0]),
    ),
  )
}

/** Variables, or why there are none. */
export type Granted = { readonly values: Environment } | { readonly failure: FailureReport }

/** The declared `env:` of a place, filled in: outermost first, inner ones win. */
export function declaredEnvironment(place: Place, inputs: JsonObject): Granted {
  const declared: { [name: string]: string } = {}
  for (const templates of place.env) {
    for (const [name, template] of Object.entries(templates)) {
      const value = asText(fill(template, inputs))
      const problem = unfit(value, [...expressionsIn(template)].join(' }}, ${{ ') || name, name.length + 1)
      if (problem) return { failure: { ...problem, message: `env ${name}: ${problem.message}` } }
      declared[name] = value
    }
  }
  return { values: declared }
}

/** The values of the secrets a place lists; `config_missing` when one has none. */
export function secretsOf(place: Place, values: ReadonlyMap<string, string>): Granted {
  const granted: { [name: string]: string } = {}
  for (const name of place.secrets) {
    const value = values.get(name)
    if (value === undefined) {
      return {
        failure: reason(
          'config_missing',
          `secret ${name} is not set: set the environment variable ${name} for the run`,
          'command',
          { secret: name },
        ),
      }
    }
    granted[name] = value
  }
  return { values: granted }
}

/** Complete environment of a child. `parts` are written over what is inherited, the step's own facts over those. */
export function childEnvironment(
  inherited: Environment,
  parts: readonly Environment[],
  place: Place,
  facts: StepFacts & { readonly marker: string },
): Environment {
  const file = (name: string): string => (facts.attemptDir === undefined ? '' : `${facts.attemptDir}/${name}`)
  const env: { [name: string]: string } = Object.assign({}, inherited, ...parts, {
    SPANWRIGHT_RUN_ID: facts.runId,
    SPANWRIGHT_NODE: place.node,
    SPANWRIGHT_ATTEMPT_ID: facts.attemptId ?? '',
    SPANWRIGHT_ATTEMPT: String(facts.attempt ?? ''),
    SPANWRIGHT_MAX_ATTEMPTS: String(facts.maxAttempts ?? ''),
    SPANWRIGHT_VISIT: String(place.visit),
    SPANWRIGHT_BRANCH: place.branch?.key ?? '',
    SPANWRIGHT_RUN_DIR: facts.runDir,
    SPANWRIGHT_ATTEMPT_DIR: facts.attemptDir ?? '',
    SPANWRIGHT_OUTCOME: file(OUTCOME_FILE),
    SPANWRIGHT_OUTPUTS: file(OUTPUTS_FILE),
    SPANWRIGHT_RETRY_CONTEXT: file(RETRY_CONTEXT_FILE),
    [MARKERS]: withMarker(inherited[MARKERS], facts.marker),
    TRACEPARENT: `00-${place.trace_id}-${place.span_id}-${place.sampled ? '01' : '00'}`,
  })
  if (place.trace_state) env['TRACESTATE'] = place.trace_state
  if (place.baggage) env['BAGGAGE'] = place.baggage
  if (facts.result !== undefined) env['SPANWRIGHT_RESULT'] = facts.result
  if (facts.failure !== undefined) env['SPANWRIGHT_FAILURE'] = facts.failure
  return env
}
