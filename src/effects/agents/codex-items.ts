// Owns: what the items of Codex's stream say: text, tool calls, warnings. Items have no times: those of arrival are taken.
import type { AgentEvent } from './adapter.ts'
import { asAmount, asFields, asList, asText, type Fields } from './loose-json.ts'

interface Tool {
  readonly name: string
  readonly input: unknown
}

/** Empty for what is no item. */
export function itemEvents(phase: string, item: Fields, at: number): readonly AgentEvent[] {
  const id = asText(item['id'])
  const type = asText(item['type'])
  const completed = phase === 'item.completed'
  if (type === undefined) return []
  if (type === 'agent_message') {
    const text = asText(item['text'])
    return completed && text !== undefined ? [{ type: 'text', text }] : [{ type: 'alive' }]
  }
  if (type === 'error') {
    const message = asText(item['message'])
    return completed && message !== undefined ? [{ type: 'warning', message }] : []
  }
  const tool = toolOf(type, item)
  if (!tool || id === undefined) return [{ type: 'alive' }]
  const started: AgentEvent = { type: 'tool.started', id, name: tool.name, input: tool.input, at }
  if (!completed) return phase === 'item.started' ? [started] : [{ type: 'alive' }]
  return [started, { type: 'tool.finished', id, at, ...resultOf(type, item) }]
}

function toolOf(type: string, item: Fields): Tool | undefined {
  switch (type) {
    case 'command_execution':
      return { name: 'shell', input: { command: item['command'] } }
    case 'file_change':
      return { name: 'apply_patch', input: { changes: item['changes'] } }
    case 'mcp_tool_call':
      return {
        name: [asText(item['server']), asText(item['tool'])].filter(Boolean).join('.') || 'mcp',
        input: item['arguments'],
      }
    case 'collab_tool_call':
      return {
        name: asText(item['tool']) ?? 'collab',
        input: { prompt: item['prompt'], receiver_thread_ids: item['receiver_thread_ids'] },
      }
    case 'web_search':
      return { name: 'web_search', input: { query: item['query'] } }
    default:
      return undefined
  }
}

type ToolResult = Omit<Extract<AgentEvent, { type: 'tool.finished' }>, 'type' | 'id' | 'at'>

function resultOf(type: string, item: Fields): ToolResult {
  const status = asText(item['status'])
  // -1 stands for a command that was ended before it could tell.
  const exitCode = Number.isSafeInteger(item['exit_code']) ? (item['exit_code'] as number) : asAmount(item['exit_code'])
  const failed = asText(asFields(item['error'])?.['message'])
  const ok = (status === undefined || status === 'completed') && (exitCode ?? 0) === 0 && failed === undefined
  const output = type === 'mcp_tool_call' ? contentOf(item['result']) : (asText(item['aggregated_output']) ?? '')
  return {
    ok,
    exitCode,
    output,
    error: ok ? undefined : (failed ?? (exitCode === undefined ? (status ?? 'failed') : `exit code ${exitCode}`)),
  }
}

/** Texts of an MCP result. */
const contentOf = (result: unknown): string =>
  asList(asFields(result)?.['content'])
    .map((part) => asText(asFields(part)?.['text']))
    .filter((text) => text !== undefined)
    .join('\n')

/** Conversations of the subagents that an item names. */
export const subagentsOf = (item: Fields): readonly string[] =>
  item['type'] === 'collab_tool_call' ? asList(item['receiver_thread_ids']).filter((id) => typeof id === 'string') : []
