// Owns: the signature of a TypeScript step (`call`): what the user's function gets and may give back.
import type { Json, JsonObject } from './json.ts'

export interface CallContext {
  /** Params of the pipeline the node belongs to. */
  readonly params: JsonObject
  /** Values of the node's declared `env:` templates and inputs. */
  readonly inputs: JsonObject
  /** The item of the innermost branch; undefined outside of fan-outs. */
  readonly item: Json | undefined
  readonly attempt: {
    readonly id: string
    readonly number: number
    readonly max: number
    readonly visit: number
    readonly node: string
  }
  /** What went wrong before; undefined on a first attempt. */
  readonly retryContext: string | undefined
  /** Aborted when the attempt has to end (timeout, stall, cancel); its reason says why. */
  readonly signal: AbortSignal
  readonly logger: {
    info(message: string, fields?: JsonObject): void
    warn(message: string, fields?: JsonObject): void
    error(message: string, fields?: JsonObject): void
  }
  /** Says that the step is alive and getting on: resets the stall timeout. */
  progress(message?: string): void
}
export type CallFunction = (context: CallContext) => JsonObject | void | Promise<JsonObject | void>
