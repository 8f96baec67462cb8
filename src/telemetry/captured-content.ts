// Owns: captured prompts and answers in the form of the GenAI conventions (messages with parts, as JSON text). The journal
// has bounded and masked them before.
import { LIMITS } from '../core/limits.ts'
import { bounded } from './span-attributes.ts'

const partsOf = (content: string): readonly unknown[] => [{ type: 'text', content: bounded(content, LIMITS.tailBytes) }]

export const inputMessages = (content: string): string => JSON.stringify([{ role: 'user', parts: partsOf(content) }])

export const outputMessages = (content: string, finishReason: string | undefined): string =>
  JSON.stringify([
    { role: 'assistant', parts: partsOf(content), ...(finishReason !== undefined && { finish_reason: finishReason }) },
  ])
