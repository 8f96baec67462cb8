// Owns: agents that are any program: it reads the prompt on its standard input, what it prints is its answer, its exit code
// counts, and what it spent is told in its outcome file.
import { toExecutable } from '../command-line.ts'
import { lastBytes } from '../reason.ts'
import { LIMITS } from '../../core/limits.ts'
import { withAnswerForm } from './structured-answer.ts'
import type { AgentAdapter, AgentEvent, AgentReader } from './adapter.ts'

export const command: AgentAdapter = {
  name: 'command',
  text: true,
  versions: [],
  parseVersion: () => undefined,
  flags: [],
  credentialProblem: () => undefined,
  reportsCost: true,
  launch(request) {
    const { spec, prompt } = request
    if (!spec.command) return { problem: 'agent.command is missing: name the program that reads the prompt' }
    const executable = toExecutable(spec.command, request.inputs ?? {})
    if ('failure' in executable) return { problem: executable.failure.message }
    const file = spec.program ?? executable.file
    return {
      file,
      args: [...executable.args, ...spec.args],
      stdin: withAnswerForm(prompt, spec.output_schema),
      env: executable.bindings,
    }
  },
  reader: () => new TextReader(),
}

/** The text so far is its answer, bounded from the front. */
class TextReader implements AgentReader {
  #lines: string[] = []
  #bytes = 0

  stdout(line: string): readonly AgentEvent[] {
    this.#lines.push(line)
    this.#bytes += line.length + 1
    while (this.#bytes > LIMITS.finalTextBytes && this.#lines.length > 1) this.#bytes -= this.#lines.shift()!.length + 1
    return []
  }

  end({ exitCode, signal, ended, rest }: Parameters<AgentReader['end']>[0]): ReturnType<AgentReader['end']> {
    const text = lastBytes([...this.#lines, ...(rest === '' ? [] : [rest])].join('\n').trimEnd(), LIMITS.finalTextBytes)
    const events: AgentEvent[] = [{ type: 'result', text }]
    const usageComplete = signal === undefined && ended === undefined
    if (!usageComplete) return { events, verdict: { status: 'killed', usageComplete } }
    if (exitCode === 0) return { events, verdict: { status: 'ok', usageComplete } }
    const message = `it exited with code ${exitCode}`
    return { events, verdict: { status: 'error', errorClass: 'unknown', message, usageComplete } }
  }
}
