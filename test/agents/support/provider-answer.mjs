// Owns: the answers of the scripted provider in the wire formats of four APIs, whole and as streams of events.

let seq = 0
export const uid = (p) => `${p}${(++seq).toString(36).padStart(6, '0')}stub${process.pid.toString(36)}`

export const DEFAULT_USAGE = { input: 100, output: 20, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const STOP = {
  anthropic: { end: 'end_turn', length: 'max_tokens', tool: 'tool_use', refusal: 'refusal', safety: 'refusal' },
  chat: { end: 'stop', length: 'length', tool: 'tool_calls', refusal: 'stop', safety: 'content_filter' },
  gemini: { end: 'STOP', length: 'MAX_TOKENS', tool: 'STOP', refusal: 'SAFETY', safety: 'SAFETY' },
}
const pieces = (s, n) => s.match(new RegExp(`[\\s\\S]{1,${Math.max(1, n)}}`, 'g')) ?? []

/** Each builder returns { json, events: [[eventName|null, object|string], ...], firstDelta: index of the first delta } */
export const build = {
  anthropic(a) {
    const u = a.usage
    const usage = u && {
      input_tokens: u.input,
      cache_creation_input_tokens: u.cacheWrite,
      cache_read_input_tokens: u.cacheRead,
      output_tokens: u.output + u.reasoning,
      ...(u.reasoning ? { output_tokens_details: { thinking_tokens: u.reasoning } } : {}),
      service_tier: 'standard',
    }
    const id = uid('msg_'),
      ev = [],
      content = []
    const stop = STOP.anthropic[a.stop]
    ev.push([
      'message_start',
      {
        type: 'message_start',
        message: {
          id,
          type: 'message',
          role: 'assistant',
          model: a.model,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: usage && { ...usage, output_tokens: 1, output_tokens_details: undefined },
        },
      },
    ])
    const block = (start, deltas, final) => {
      const index = content.length
      content.push(final)
      ev.push(['content_block_start', { type: 'content_block_start', index, content_block: start }])
      for (const delta of deltas) ev.push(['content_block_delta', { type: 'content_block_delta', index, delta }])
      ev.push(['content_block_stop', { type: 'content_block_stop', index }])
    }
    if (a.reasoning)
      block(
        { type: 'thinking', thinking: '', signature: '' },
        [
          ...pieces(a.reasoning, a.chunk).map((t) => ({ type: 'thinking_delta', thinking: t })),
          { type: 'signature_delta', signature: 'c3R1Yg==' },
        ],
        { type: 'thinking', thinking: a.reasoning, signature: 'c3R1Yg==' },
      )
    if (a.text)
      block(
        { type: 'text', text: '' },
        pieces(a.text, a.chunk).map((t) => ({ type: 'text_delta', text: t })),
        { type: 'text', text: a.text },
      )
    for (const t of a.tools) {
      const tid = t.id ?? uid('toolu_')
      block(
        { type: 'tool_use', id: tid, name: t.name, input: {} },
        pieces(JSON.stringify(t.args), a.chunk).map((p) => ({ type: 'input_json_delta', partial_json: p })),
        { type: 'tool_use', id: tid, name: t.name, input: t.args },
      )
    }
    ev.push([
      'message_delta',
      { type: 'message_delta', delta: { stop_reason: stop, stop_sequence: null }, usage: usage ?? undefined },
    ])
    ev.push(['message_stop', { type: 'message_stop' }])
    return {
      json: {
        id,
        type: 'message',
        role: 'assistant',
        model: a.model,
        content,
        stop_reason: stop,
        stop_sequence: null,
        usage: usage ?? undefined,
      },
      events: ev,
      firstDelta: 2,
    }
  },

  responses(a) {
    const u = a.usage
    const usage = u && {
      input_tokens: u.input + u.cacheRead + u.cacheWrite,
      input_tokens_details: { cached_tokens: u.cacheRead },
      output_tokens: u.output + u.reasoning,
      output_tokens_details: { reasoning_tokens: u.reasoning },
      total_tokens: u.input + u.cacheRead + u.cacheWrite + u.output + u.reasoning,
    }
    const id = uid('resp_'),
      ev = [],
      output = []
    let n = 0
    const push = (type, o) => ev.push([type, { type, sequence_number: n++, ...o }])
    const shell = (status, more) => ({
      id,
      object: 'response',
      created_at: Math.floor(Date.now() / 1000),
      status,
      model: a.model,
      output: [],
      parallel_tool_calls: true,
      tools: [],
      ...more,
    })
    push('response.created', { response: shell('in_progress') })
    push('response.in_progress', { response: shell('in_progress') })
    const firstDelta = ev.length + 1
    if (a.reasoning) {
      const item = { id: uid('rs_'), type: 'reasoning', summary: [] },
        output_index = output.length
      push('response.output_item.added', { output_index, item })
      push('response.reasoning_summary_part.added', {
        item_id: item.id,
        output_index,
        summary_index: 0,
        part: { type: 'summary_text', text: '' },
      })
      for (const d of pieces(a.reasoning, a.chunk))
        push('response.reasoning_summary_text.delta', { item_id: item.id, output_index, summary_index: 0, delta: d })
      push('response.reasoning_summary_text.done', {
        item_id: item.id,
        output_index,
        summary_index: 0,
        text: a.reasoning,
      })
      push('response.reasoning_summary_part.done', {
        item_id: item.id,
        output_index,
        summary_index: 0,
        part: { type: 'summary_text', text: a.reasoning },
      })
      const done = { ...item, summary: [{ type: 'summary_text', text: a.reasoning }] }
      push('response.output_item.done', { output_index, item: done })
      output.push(done)
    }
    if (a.text) {
      const item = { id: uid('msg_'), type: 'message', status: 'in_progress', role: 'assistant', content: [] },
        output_index = output.length,
        at = { item_id: item.id, output_index, content_index: 0 }
      push('response.output_item.added', { output_index, item })
      push('response.content_part.added', { ...at, part: { type: 'output_text', text: '', annotations: [] } })
      for (const d of pieces(a.text, a.chunk)) push('response.output_text.delta', { ...at, delta: d, logprobs: [] })
      push('response.output_text.done', { ...at, text: a.text, logprobs: [] })
      push('response.content_part.done', { ...at, part: { type: 'output_text', text: a.text, annotations: [] } })
      const done = {
        ...item,
        status: 'completed',
        content: [{ type: 'output_text', text: a.text, annotations: [], logprobs: [] }],
      }
      push('response.output_item.done', { output_index, item: done })
      output.push(done)
    }
    for (const t of a.tools) {
      const output_index = output.length,
        call_id = t.id ?? uid('call_'),
        ns = t.namespace ? { namespace: t.namespace } : {}
      const full = t.custom
        ? {
            id: uid('ctc_'),
            type: 'custom_tool_call',
            status: 'completed',
            call_id,
            name: t.name,
            input: t.input ?? '',
            ...ns,
          }
        : {
            id: uid('fc_'),
            type: 'function_call',
            status: 'completed',
            call_id,
            name: t.name,
            arguments: JSON.stringify(t.args),
            ...ns,
          }
      const field = t.custom ? 'input' : 'arguments',
        evn = t.custom ? 'response.custom_tool_call_input' : 'response.function_call_arguments'
      push('response.output_item.added', { output_index, item: { ...full, status: 'in_progress', [field]: '' } })
      for (const d of pieces(full[field], a.chunk)) push(`${evn}.delta`, { item_id: full.id, output_index, delta: d })
      push(`${evn}.done`, { item_id: full.id, output_index, [field]: full[field] })
      push('response.output_item.done', { output_index, item: full })
      output.push(full)
    }
    const bad =
      a.stop === 'length' ? 'max_output_tokens' : a.stop === 'safety' || a.stop === 'refusal' ? 'content_filter' : null
    const final = shell(bad ? 'incomplete' : 'completed', {
      output,
      usage: usage ?? undefined,
      incomplete_details: bad ? { reason: bad } : null,
    })
    push(bad ? 'response.incomplete' : 'response.completed', { response: final })
    return { json: final, events: ev, firstDelta }
  },

  chat(a, body) {
    const u = a.usage
    const usage = u && {
      prompt_tokens: u.input + u.cacheRead + u.cacheWrite,
      completion_tokens: u.output + u.reasoning,
      total_tokens: u.input + u.cacheRead + u.cacheWrite + u.output + u.reasoning,
      prompt_tokens_details: { cached_tokens: u.cacheRead },
      completion_tokens_details: { reasoning_tokens: u.reasoning },
    }
    const id = uid('chatcmpl-'),
      created = Math.floor(Date.now() / 1000),
      finish_reason = STOP.chat[a.stop]
    const ev = []
    const push = (delta, fin = null, more = {}) =>
      ev.push([
        null,
        {
          id,
          object: 'chat.completion.chunk',
          created,
          model: a.model,
          choices: [{ index: 0, delta, finish_reason: fin }],
          ...more,
        },
      ])
    push({ role: 'assistant', content: '' })
    for (const d of pieces(a.reasoning ?? '', a.chunk)) push({ reasoning_content: d })
    for (const d of pieces(a.text ?? '', a.chunk)) push({ content: d })
    const calls = a.tools.map((t) => ({
      id: t.id ?? uid('call_'),
      type: 'function',
      function: { name: t.name, arguments: JSON.stringify(t.args) },
    }))
    calls.forEach((c, index) => {
      push({ tool_calls: [{ index, id: c.id, type: 'function', function: { name: c.function.name, arguments: '' } }] })
      for (const d of pieces(c.function.arguments, a.chunk))
        push({ tool_calls: [{ index, function: { arguments: d } }] })
    })
    push({}, finish_reason)
    if (usage && body?.stream_options?.include_usage)
      ev.push([null, { id, object: 'chat.completion.chunk', created, model: a.model, choices: [], usage }])
    ev.push([null, '[DONE]'])
    const message = {
      role: 'assistant',
      content: a.text ?? null,
      ...(a.reasoning ? { reasoning_content: a.reasoning } : {}),
      ...(calls.length ? { tool_calls: calls } : {}),
    }
    return {
      json: {
        id,
        object: 'chat.completion',
        created,
        model: a.model,
        choices: [{ index: 0, message, finish_reason }],
        usage: usage ?? undefined,
      },
      events: ev,
      firstDelta: 1,
    }
  },

  gemini(a) {
    const u = a.usage
    const usageMetadata = u && {
      promptTokenCount: u.input + u.cacheRead + u.cacheWrite,
      candidatesTokenCount: u.output,
      totalTokenCount: u.input + u.cacheRead + u.cacheWrite + u.output + u.reasoning,
      cachedContentTokenCount: u.cacheRead || undefined,
      thoughtsTokenCount: u.reasoning || undefined,
      promptTokensDetails: [{ modality: 'TEXT', tokenCount: u.input + u.cacheRead + u.cacheWrite }],
    }
    const responseId = uid('r'),
      finishReason = STOP.gemini[a.stop],
      ev = [],
      all = []
    const chunk = (parts, fin) => ({
      candidates: [{ content: { role: 'model', parts }, index: 0, ...(fin ? { finishReason: fin } : {}) }],
      ...(fin && usageMetadata ? { usageMetadata } : {}),
      modelVersion: a.model,
      responseId,
    })
    for (const d of pieces(a.reasoning ?? '', a.chunk)) ev.push([null, chunk([{ text: d, thought: true }])])
    for (const d of pieces(a.text ?? '', a.chunk)) ev.push([null, chunk([{ text: d }])])
    if (a.reasoning) all.push({ text: a.reasoning, thought: true })
    if (a.text) all.push({ text: a.text })
    for (const t of a.tools) {
      const part = {
        functionCall: { ...(t.id ? { id: t.id } : {}), name: t.name, args: t.args },
        thoughtSignature: 'c3R1Yg==',
      }
      ev.push([null, chunk([part])])
      all.push(part)
    }
    ev.push([null, chunk([{ text: '' }], finishReason)])
    return { json: chunk(all, finishReason), events: ev, firstDelta: 0 }
  },
}

const ERR_TYPE = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  408: 'timeout_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  503: 'api_error',
  529: 'overloaded_error',
}
const GOOGLE = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}
export function errorBody(api, e) {
  if (e.body !== undefined) return e.body
  const message = e.message ?? `stub error ${e.status}`,
    type = e.type ?? ERR_TYPE[e.status] ?? 'api_error'
  if (api.startsWith('gemini'))
    return {
      error: {
        code: e.status,
        message,
        status: e.googleStatus ?? GOOGLE[e.status] ?? 'UNKNOWN',
        ...(e.details ? { details: e.details } : {}),
      },
    }
  if (api.startsWith('anthropic')) return { type: 'error', error: { type, message }, request_id: uid('req_') }
  return { error: { message, type, param: null, code: e.code ?? (e.status === 429 ? 'rate_limit_exceeded' : null) } }
}
export function streamErrorEvent(api, e) {
  const message = e.message ?? 'stub stream error',
    type = e.type ?? 'api_error'
  if (api === 'anthropic') return ['error', { type: 'error', error: { type, message } }]
  if (api === 'responses')
    return [
      'response.failed',
      {
        type: 'response.failed',
        sequence_number: 99,
        response: {
          id: uid('resp_'),
          object: 'response',
          status: 'failed',
          output: [],
          error: { code: e.code ?? type, message },
        },
      },
    ]
  if (api === 'gemini') return [null, { error: { code: e.status ?? 503, message, status: 'UNAVAILABLE' } }]
  return [null, { error: { message, type, code: e.code ?? null } }]
}
