// Owns: run.json, what a run is from its first moment on; it is written once and never changed (DESIGN 5).
import { z } from 'zod'

export const runIdentitySchema = z.looseObject({
  run_id: z.string(),
  /** `--key`: at most one run per key and store. */
  key: z.string().optional(),
  labels: z.record(z.string(), z.string()),
  pipeline: z.looseObject({
    name: z.string(),
    hash: z.string(),
    /** Absolute path of the pipeline file; absent when a program passed the pipeline. */
    file: z.string().optional(),
  }),
  /** Without those of `secret_params`. */
  params: z.record(z.string(), z.json()),
  /** Names of params whose values were not kept: a resume asks for them again. */
  secret_params: z.array(z.string()).optional(),
  /** RFC 3339 in microseconds. */
  created: z.string(),
  /** Working directory of the call: where steps run, also after a resume. */
  cwd: z.string(),
  git: z.looseObject({ head: z.string(), branch: z.string().optional(), dirty: z.boolean().optional() }).optional(),
  versions: z.looseObject({ spanwright: z.string(), node: z.string() }),
  trace_id: z.string(),
  /** The step that started this run, when one did. */
  parent: z.looseObject({ run_id: z.string(), attempt_id: z.string().optional() }).optional(),
})
export type RunIdentity = z.infer<typeof runIdentitySchema>
