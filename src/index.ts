// Owns: the library surface: named re-exports, and the one composition that programs need. Must not hold anything else.
import { parseDefinition } from './pipeline/load.ts'
import { celExpressions } from './pipeline/expressions.ts'
import { readParams } from './pipeline/params.ts'
import { createRunPipeline } from './runner/run-pipeline.ts'
import { startTelemetry } from './telemetry/telemetry.ts'

export { agent, call, child, fanout, gate, pipeline, run, wait } from './pipeline/builder.ts'
export type {
  AgentChoiceOption,
  AgentOptions,
  CallOptions,
  CheckOption,
  ChildOptions,
  FanoutOptions,
  GateOptions,
  HookOption,
  NodeDefinition,
  NodeOptions,
  OtherAgentOption,
  ParamOption,
  PipelineDefinition,
  PipelineOptions,
  PriceOption,
  RetryOption,
  RouteOption,
  RunOptions,
  WaitOptions,
} from './pipeline/builder.ts'
export { parsePipelineFile, validatePipelineFile, type ParsedPipeline } from './pipeline/load.ts'
export { renderDiagnostic, type Diagnostic } from './pipeline/diagnostic.ts'
export { SpanwrightError, type ErrorCode } from './core/error.ts'
export type { CallContext, CallFunction } from './core/call.ts'
export type { Entry, Event, EventOf, EventType } from './core/events.ts'
export type { HookFailure, Totals } from './core/event-values.ts'
export type { Failure, FailureClass, FailureCode, Result } from './core/failure.ts'
export type { Json, JsonObject } from './core/json.ts'
export type { Pipeline } from './core/pipeline.ts'
export { createMemoryStore } from './journal/memory-store.ts'
export { createNdjsonStore } from './journal/ndjson-store.ts'
export type { Final } from './journal/final.ts'
export type { RunIdentity } from './journal/run-identity.ts'
export type { Store } from './journal/store.ts'
export type { RunPipelineOptions, RunResult } from './runner/run-pipeline.ts'

const { readFileSync } = process.getBuiltinModule('node:fs')
const { version } = JSON.parse(readFileSync(`${import.meta.dirname}/../package.json`, 'utf8')) as { version: string }
const takeover = `${import.meta.dirname}/cli/takeover${import.meta.filename.endsWith('.ts') ? '.ts' : '.js'}`

/** Runs a pipeline made by `pipeline()` to its end; see RunPipelineOptions. */
export const runPipeline = createRunPipeline({
  parse: parseDefinition,
  readParams,
  expressions: celExpressions,
  takeover: [process.execPath, takeover],
  version,
  telemetry: ({ directory, read, warn }) =>
    startTelemetry({
      runDir: directory,
      read,
      env: process.env,
      warn: (message) => {
        warn(message)
        process.emitWarning(message, 'SpanwrightWarning')
      },
    }),
})
