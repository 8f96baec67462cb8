// Owns: which version of a client an attempt had, when its stream does not tell: asked of the program once per run, beside
// the work. Versions that are not known are warned about once per run.
import { basename } from 'node:path'
import type { Standing } from '../attempt-conclusion.ts'
import { warningEvent } from '../status-files.ts'
import type { AgentAdapter } from './adapter.ts'
import { clientFacts, findProgram, isKnownVersion } from './client-version.ts'

/** The end of an attempt waits for an answer no longer than this. */
const PATIENCE_MS = 1_000

/** What is known of the clients of one run. */
export class ClientVersions {
  readonly #cache: string
  readonly #asked = new Map<string, Promise<string | undefined>>()
  readonly #warned = new Set<string>()

  /** @param cache directory in which answers are kept from run to run */
  constructor(cache: string) {
    this.#cache = cache
  }

  /** Asks the program in the background. Never rejects; undefined = it does not tell. */
  ask(adapter: AgentAdapter, file: string, request: { readonly env: NodeJS.ProcessEnv; readonly cwd: string }): void {
    // A program under another name may not know the question, and take it for its work.
    if (adapter.program === undefined || basename(file) !== adapter.program || this.#asked.has(file)) return
    this.#asked.set(
      file,
      (async () => {
        const program = findProgram(file, request.env, request.cwd)
        return program === undefined
          ? undefined
          : (await clientFacts(adapter, program, request.env, this.#cache)).version
      })().catch(() => undefined),
    )
  }

  /** The answer, if it is there by now or soon. */
  async answer(file: string): Promise<string | undefined> {
    const asked = this.#asked.get(file)
    if (!asked) return undefined
    const late = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => late.resolve(undefined), PATIENCE_MS)
    const version = await Promise.race([asked, late.promise])
    clearTimeout(timer)
    return version
  }

  warnUnknown({ subject, report, command }: Standing, adapter: AgentAdapter, version: string | undefined): void {
    if (version === undefined || adapter.versions.length === 0 || isKnownVersion(version, adapter.versions)) return
    const key = `${adapter.name} ${version}`
    if (this.#warned.has(key)) return
    this.#warned.add(key)
    const message = `${adapter.name} ${version} is not one of the versions whose output is known (${adapter.versions.join(', ')}): what it tells may be incomplete`
    report.observed(warningEvent({ code: 'agent_version_unknown', message }, subject.node, command.id))
  }
}
