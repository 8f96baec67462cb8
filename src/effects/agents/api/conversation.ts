// Owns: the loop: prompt, answer, tools, answer … until the model is done, may not go on or cannot. The conversation is
// kept after every step, so that another attempt can go on with it. Must not: start or end the process.
import type { LanguageModel, ModelMessage } from 'ai'
import type { Json } from '../../../core/json.ts'
import { LIMITS } from '../../../core/limits.ts'
import { Asking, type Ending } from './asking.ts'
import { ConversationFile } from './conversation-file.ts'
import type { Exchange, ToolUse } from './exchange.ts'
import type { ApiRequest, ApiResult } from './protocol.ts'
import { SCHEMA_NUDGES, schemaInstructions, structuredIn } from './structured.ts'
import { runTool, type ToolAnswer, type ToolContext } from './tools.ts'
import type { Wire } from './wire.ts'
import { Workspace } from './workspace.ts'

export interface ConversationParts {
  readonly request: ApiRequest
  readonly model: LanguageModel
  readonly wire: Wire
  /** What commands get; the provider's key is not in it. */
  readonly toolEnv: NodeJS.ProcessEnv
  readonly signal: AbortSignal
}

export async function converse(parts: ConversationParts): Promise<ApiResult> {
  const { request, model, wire, signal } = parts
  const asking = new Asking(request, model, { system: instructions(request), wire, signal })
  const ending = await new Conversation(parts, asking).run()
  return { ...ending, requests: asking.requests, usage_complete: asking.usageComplete }
}

class Conversation {
  readonly #parts: ConversationParts
  readonly #asking: Asking
  readonly #file: ConversationFile
  readonly #tools: ToolContext
  #messages: ModelMessage[] = []
  #nudges = 0

  constructor(parts: ConversationParts, asking: Asking) {
    const { request, toolEnv, signal } = parts
    this.#parts = parts
    this.#asking = asking
    this.#file = new ConversationFile(request.conversations, request.session.id)
    this.#tools = {
      workspace: new Workspace(request.cwd, request.permission !== 'full'),
      model: request.model,
      env: toolEnv,
      commandTimeoutMs: request.command_timeout_ms,
      signal,
    }
  }

  async run(): Promise<Ending> {
    const { request, signal } = this.#parts
    const problem = await this.#begin()
    if (problem) return problem
    for (let turns = 0; ; turns++) {
      if (turns >= request.max_turns) {
        return {
          status: 'limit',
          error_class: 'max_turns',
          message: `not done after ${request.max_turns} turns (max_turns)`,
        }
      }
      const turn = await this.#asking.turn(this.#messages)
      if ('status' in turn) return turn
      const ending = await this.#take(turn)
      if (ending) return ending
      if (signal.aborted) return { status: 'killed', message: 'ended by a signal' }
    }
  }

  async #begin(): Promise<Ending | undefined> {
    const { request } = this.#parts
    if (request.session.resume) {
      const earlier = await this.#file.load()
      if (!earlier) {
        return {
          status: 'error',
          error_class: 'not_found',
          message: `there is no conversation ${request.session.id} in ${request.conversations}`,
        }
      }
      this.#messages = earlier
    } else {
      await this.#file.prune()
    }
    const prompt: ModelMessage = { role: 'user', content: request.prompt }
    // A conversation that goes on after a limit has this prompt as its last message already.
    if (JSON.stringify(this.#messages.at(-1)) !== JSON.stringify(prompt)) this.#messages.push(prompt)
    await this.#file.save(this.#messages)
    return undefined
  }

  /** Takes a turn into the conversation. Undefined: it goes on. */
  async #take(exchange: Exchange): Promise<Ending | undefined> {
    const { request, wire } = this.#parts
    const { text, toolUses, finishReason } = exchange
    this.#messages.push(...exchange.messages)
    await this.#file.save(this.#messages)
    if (text !== '') wire.say({ type: 'text', text })
    if (finishReason === 'length') return outputLimit(request.max_output_tokens, text)
    if (finishReason === 'content-filter')
      return {
        status: 'error',
        error_class: 'content_filter',
        message: 'the provider withheld the answer',
        text,
      }
    if (toolUses.length > 0) {
      await this.#runTools(toolUses)
      return undefined
    }
    if (!request.output_schema) {
      if (text === '') wire.say({ type: 'warning', message: 'the model ended without a word' })
      return { status: 'ok', text }
    }
    const found = structuredIn(text, request.output_schema)
    if ('value' in found) return { status: 'ok', text, structured: found.value }
    return this.#nudge(found.problem, text)
  }

  async #nudge(problem: string, text: string): Promise<Ending | undefined> {
    if (this.#nudges >= SCHEMA_NUDGES) {
      this.#parts.wire.say({ type: 'warning', message: `no structured answer: ${problem}` })
      return { status: 'ok', text }
    }
    this.#nudges++
    this.#messages.push({
      role: 'user',
      content: `Your answer cannot be used: ${problem}. Send only the JSON value that fits the schema.`,
    })
    await this.#file.save(this.#messages)
    return undefined
  }

  async #runTools(toolUses: readonly ToolUse[]): Promise<void> {
    for (const use of toolUses.slice(0, LIMITS.answerCallsRun)) {
      if (this.#parts.signal.aborted) return
      const answer = await this.#runOne(use)
      if (use.invalid === undefined) this.#messages.push(toolMessage(use, answer))
      await this.#file.save(this.#messages)
    }
    const rest = toolUses.slice(LIMITS.answerCallsRun)
    if (rest.length === 0) return
    this.#parts.wire.say({
      type: 'warning',
      message: `${rest.length} tool calls of one answer were not run: ${TOO_MANY}`,
    })
    for (const use of rest)
      if (use.invalid === undefined)
        this.#messages.push(toolMessage(use, { ok: false, output: `not run: ${TOO_MANY}` }))
    await this.#file.save(this.#messages)
  }

  async #runOne(use: ToolUse): Promise<ToolAnswer> {
    const { request, wire } = this.#parts
    wire.say({ type: 'tool.started', id: use.id, name: use.name, input: use.input as Json })
    const offered = request.tools.some((name) => name === use.name)
    const answer: ToolAnswer =
      use.invalid !== undefined || !offered
        ? { ok: false, output: use.invalid ?? 'not allowed', error: use.invalid ?? 'not allowed' }
        : await runTool(use.name, use.input, this.#tools)
    wire.say({
      type: 'tool.finished',
      id: use.id,
      ok: answer.ok,
      output: answer.output,
      ...(answer.exitCode !== undefined && { exit_code: answer.exitCode }),
      ...(answer.error !== undefined && { error: answer.error }),
    })
    return answer
  }
}

const toolMessage = (use: ToolUse, { ok, output }: ToolAnswer): ModelMessage => ({
  role: 'tool',
  content: [
    {
      type: 'tool-result',
      toolCallId: use.id,
      toolName: use.name,
      output: { type: ok ? 'text' : 'error-text', value: output },
    },
  ],
})

const TOO_MANY = `at most ${LIMITS.answerCallsRun} are run`

const outputLimit = (tokens: number, text: string): Ending => ({
  status: 'error',
  error_class: 'output_limit',
  message: `the answer was cut after ${tokens} tokens (--max-output-tokens)`,
  text,
})

const MAY = {
  read: 'You may only look at files; nothing can be changed.',
  workspace: 'Change files below the working directory only.',
  full: 'You may change any file.',
} as const

/** Tools that were allowed by name may do more than the level says. */
const mayDo = ({ permission, tools }: ApiRequest): string =>
  permission === 'read' && tools.some((name) => name !== 'read') ? MAY.workspace : MAY[permission]

const instructions = (request: ApiRequest): string =>
  [
    'You are a coding agent that works on its own: nobody reads along and nobody answers questions. Use the tools to look, change and check; go on until the task is done, then say in a few sentences what you did and what is left.',
    `Working directory: ${request.cwd}. ${mayDo(request)}`,
    request.output_schema && schemaInstructions(request.output_schema),
  ]
    .filter((part) => part !== undefined)
    .join('\n\n')
