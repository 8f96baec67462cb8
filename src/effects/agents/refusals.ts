// Owns: when refused tools make an answer worthless. One rule for all clients that tell of refusals: whoever was refused a
// tool and did nothing by any other one has done no work, whatever its answer says.
import type { AgentEvent, Verdict } from './adapter.ts'

/** What became of the tool calls of one launch. */
export class Refusals {
  readonly #refused = new Set<string>()
  #worked = false

  /** Nobody was there to allow this tool, or a rule forbids it. */
  refused(tool: string): void {
    this.#refused.add(tool)
  }

  /** A tool that was not refused has ended. A command that ran and failed is work, too. */
  ended({ ok, exitCode }: Pick<Extract<AgentEvent, { type: 'tool.finished' }>, 'ok' | 'exitCode'>): void {
    this.#worked ||= ok || exitCode !== undefined
  }

  /** The verdict in the light of it: only a success can turn out to be none. */
  over(verdict: Verdict): Verdict {
    if (verdict.status !== 'ok' || this.#worked || this.#refused.size === 0) return verdict
    const message = `it was not allowed to use ${[...this.#refused].join(', ')} and did nothing: allow it by agent.permission or agent.allowed_tools`
    return { ...verdict, status: 'denied', errorClass: 'denied', message }
  }
}
