// Owns: the AI SDK's model for a request file: provider, address, key, headers, and the options each provider wants.
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import type { LanguageModel, ModelMessage } from 'ai'
import { boundedFetch } from './bounded-fetch.ts'
import type { ApiRequest } from './protocol.ts'

export function modelOf(request: ApiRequest, env: NodeJS.ProcessEnv): LanguageModel {
  const { api_key: key, bearer } = request
  const headers = traceHeaders(env)
  const baseURL = request.base_url
  const common = { headers, fetch: boundedFetch, ...(baseURL !== undefined && { baseURL }) }
  switch (request.provider) {
    case 'anthropic':
      return createAnthropic({ ...common, ...(bearer ? { authToken: key } : { apiKey: key }) })(request.model)
    case 'openai':
      return createOpenAI({ ...common, apiKey: key })(request.model)
    case 'openai-compatible':
      return createOpenAICompatible({
        name: 'compatible',
        baseURL: baseURL ?? '',
        headers,
        fetch: boundedFetch,
        includeUsage: true,
        supportsStructuredOutputs: true,
        ...(key !== '' && { apiKey: key }),
      })(request.model)
  }
}

/** Requests belong to the span whose context the program was given. */
function traceHeaders(env: NodeJS.ProcessEnv): Record<string, string> {
  const { TRACEPARENT: traceparent, TRACESTATE: tracestate } = env
  if (!traceparent) return {}
  return { traceparent, ...(tracestate && { tracestate }) }
}

/** Nothing is kept at the provider: the conversation is in our file and sent whole. */
export function providerOptions(request: ApiRequest) {
  const effort = request.reasoning_effort
  return {
    openai: { store: false, strictJsonSchema: false, ...(effort !== undefined && { reasoningEffort: effort }) },
    compatible: { strictJsonSchema: false, ...(effort !== undefined && { reasoningEffort: effort }) },
    ...(effort !== undefined && request.provider === 'anthropic' && { anthropic: { effort } }),
  }
}

/** The messages with Anthropic's cache mark on the last one: each turn then reads the whole conversation from the cache. */
export function withCacheMark(messages: readonly ModelMessage[]): ModelMessage[] {
  return messages.map((message, index) =>
    index === messages.length - 1
      ? {
          ...message,
          providerOptions: { ...message.providerOptions, anthropic: { cacheControl: { type: 'ephemeral' } } },
        }
      : message,
  )
}
