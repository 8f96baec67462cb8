// A scripted model provider for tests of agent clients, loopback only: real clients talk to it, the test knows the truth.
// It speaks four provider wire formats well enough for real coding-agent CLIs and SDKs:
//   Anthropic  POST */v1/messages  (+ /count_tokens)        JSON and SSE, text / thinking / tool_use
//   OpenAI     POST */responses                             JSON and SSE, message / reasoning / function_call / custom_tool_call
//   OpenAI     POST */chat/completions                      JSON and SSE, content / reasoning_content / tool_calls
//   Gemini     POST */models/M:generateContent | :streamGenerateContent | :countTokens
//   and        GET  */models                                a small model list (Anthropic, OpenAI and Gemini shapes)
//
// Any URL may be prefixed by /k/<key> (URL/k/run1, URL/k/run1/v1 ...): every key has its own place in the scenario,
//   so that concurrent runs against one server do not mix. Without a prefix the key is "default".
//
// Scenario file (JSON):
// {
//   "turns": [Turn, ...],            // one per main request, in order; retries consume turns as well
//   "after": "repeat-last"|"done",   // turns used up: repeat the last one, or answer the text "done" (default "done")
//   "side": Turn,                    // answer to side requests (default: a short text, or a minimal instance of the asked JSON schema)
//   "main": "auto"|"all"|"tools",    // which requests count as main (see below; default "auto")
//   "usage": Usage,                  // default usage of a turn
//   "keys": { "<key>": { "turns": [...], ... } }   // other scripts for given keys
// }
// Turn: any of
//   "text": "...", "reasoning": "...",
//   "tools": [{ "name": "shell"|"write"|"read"|"<literal tool name>", "args": {...}, "input": "raw text of a custom tool" }]
//        // the aliases shell {command}, write {path,content}, read {path} are translated to whatever the client offers
//   "usage": { "input":100, "output":20, "cacheRead":0, "cacheWrite":0, "reasoning":0 }   // disjoint counts; null = omit usage
//   "stop": "end"|"length"|"tool"|"refusal"|"safety"   // else derived from tools
//   "model": "name reported back"    // else the asked one is echoed
//   "error": { "status":429, "type":"rate_limit_error", "message":"...", "headers":{"retry-after":"1"}, "body": any }
//   "streamError": { "type":"overloaded_error", "message":"..." }  // a 200 stream that fails after its first delta
//   "delayMs": N        // before the answer's first byte
//   "chunkMs": N        // between stream events;  "chunk": N  characters per text delta (default 16)
//   "hang": true        // never answer (until the client goes away);  "stall": true  go silent after the first delta
//   "truncate": true    // close the socket after the first delta;  "unfinished": true  end the stream in order after it
//   "malformed": true   // send a stream event / body that is not JSON
//   "repeat": N         // use this turn N times
// Main and side requests: agents also send requests that are no turn of the conversation (session titles, routing,
// quota probes). "tools": a request is main if it offers tools. "all": every request is main. "auto": like "tools" for
// the known CLIs (by user-agent), like "all" for every other client.
//
// Control: GET /__stub/requests, GET /__stub/state, POST /__stub/reset, POST /__stub/scenario (a scenario as body).
// Every answer carries x-stub-turn (index used, "side" for side requests) and a request id.

import fs from 'node:fs'
import http from 'node:http'
import { build, DEFAULT_USAGE, errorBody, streamErrorEvent, uid } from './provider-answer.mjs'
import { blankHeaders, instance, offeredTools, resolveTool, route, wantedSchema } from './provider-request.mjs'

const CLI_AGENTS = /claude-cli|claude-code|codex|geminicli|gemini-cli|opencode/i
const sleep = (ms) => new Promise((r) => setTimeout(r, ms))

/** Starts it on a free port. */
export async function startProvider({ scenario = {}, port = 0, host = '127.0.0.1', log = null, full = false } = {}) {
  const requests = [],
    state = new Map(),
    sockets = new Set()
  const scriptFor = (key) => ({ ...scenario, ...scenario.keys?.[key] })
  const expand = (script) =>
    (script.turns ?? []).flatMap((t) => Array.from({ length: Math.max(1, t.repeat ?? 1) }, () => t))

  function nextTurn(key, script) {
    const turns = expand(script),
      i = state.get(key) ?? 0
    state.set(key, i + 1)
    if (i < turns.length) return [i, turns[i]]
    return [i, (script.after === 'repeat-last' && turns.at(-1)) || { text: 'done' }]
  }

  async function handle(req, res) {
    const t0 = Date.now(),
      url = new URL(req.url, 'http://stub')
    let pathname = url.pathname,
      key = 'default'
    const m = /^\/k\/([^/]+)(\/.*)?$/.exec(pathname)
    if (m) [key, pathname] = [decodeURIComponent(m[1]), m[2] ?? '/']
    const chunks = []
    for await (const c of req) chunks.push(c)
    const raw = Buffer.concat(chunks).toString('utf8')
    let body
    try {
      body = raw ? JSON.parse(raw) : undefined
    } catch {
      body = undefined
    }
    const send = (status, obj, headers = {}) => {
      res.writeHead(status, {
        'content-type': 'application/json',
        'request-id': uid('req_'),
        'x-request-id': uid('req_'),
        ...headers,
      })
      res.end(typeof obj === 'string' ? obj : JSON.stringify(obj))
    }

    if (pathname.startsWith('/__stub/')) {
      if (pathname === '/__stub/requests') return send(200, requests)
      if (pathname === '/__stub/state') return send(200, Object.fromEntries(state))
      if (pathname === '/__stub/reset' && req.method === 'POST') {
        state.clear()
        requests.length = 0
        return send(200, {})
      }
      if (pathname === '/__stub/scenario' && req.method === 'POST' && body) {
        scenario = body
        state.clear()
        return send(200, {})
      }
      return send(404, { error: 'no such control path' })
    }

    const r = route(pathname),
      api = r.api
    const entry = {
      n: requests.length,
      at: new Date(t0).toISOString(),
      key,
      method: req.method,
      path: pathname + url.search,
      api,
      headers: blankHeaders(req.headers),
      bytes: raw.length,
    }
    requests.push(entry)
    const note = () => {
      entry.ms = Date.now() - t0
      if (log) fs.appendFileSync(log, JSON.stringify(entry) + '\n')
    }
    res.on('close', () => {
      entry.clientGone = !res.writableFinished
      note()
    })
    if (full) entry.body = body ?? raw

    if (req.method === 'HEAD' || (req.method === 'GET' && !api)) return send(pathname === '/' ? 200 : 404, {})
    if (api === 'models') {
      const ids = ['stub-model', 'gpt-5', 'claude-sonnet-4-5', 'gemini-2.5-pro']
      return send(200, {
        object: 'list',
        has_more: false,
        data: ids.map((id) => ({
          id,
          object: 'model',
          type: 'model',
          display_name: id,
          created: 0,
          created_at: '2025-01-01T00:00:00Z',
          owned_by: 'stub',
        })),
        models: [],
      })
    }
    if (!api) return send(404, errorBody('chat', { status: 404, message: 'stub: no such path' }))
    if (!body) return send(400, errorBody(api, { status: 400, message: 'stub: body is not JSON' }))
    if (api === 'anthropic.count') return send(200, { input_tokens: Math.ceil(raw.length / 4) })
    if (api === 'gemini.count') return send(200, { totalTokens: Math.ceil(raw.length / 4) })

    const script = scriptFor(key),
      offered = offeredTools(api, body),
      stream = r.stream ?? body.stream === true
    const mode = script.main ?? 'auto'
    const main =
      mode === 'all' || offered.length > 0 || (mode === 'auto' && !CLI_AGENTS.test(req.headers['user-agent'] ?? ''))
    let index = 'side',
      turn = script.side ?? {}
    if (main) [index, turn] = nextTurn(key, script)
    const schema = wantedSchema(api, body)
    const tools = (turn.tools ?? []).map((t) => resolveTool(t, offered))
    const model = r.model ?? body.model ?? 'stub-model'
    Object.assign(entry, {
      model,
      stream,
      main,
      turn: index,
      tools: offered.map((t) => t.name),
      schema: schema ? true : undefined,
    })
    if (turn.delayMs) await sleep(turn.delayMs)
    if (turn.hang) return void (entry.answer = 'hang')
    const extra = { 'x-stub-turn': index }
    if (turn.error) {
      entry.answer = turn.error.status
      return send(turn.error.status, errorBody(api, turn.error), { ...extra, ...turn.error.headers })
    }
    let text = turn.text
    if (text === undefined && tools.length === 0 && !turn.reasoning)
      text = schema ? JSON.stringify(instance(schema)) : main ? 'done' : 'stub'
    if (text !== undefined && typeof text !== 'string') text = JSON.stringify(text)
    const usage = turn.usage === null ? null : { ...DEFAULT_USAGE, ...(main ? script.usage : {}), ...turn.usage }
    const a = {
      text,
      reasoning: turn.reasoning,
      tools,
      usage,
      stop: turn.stop ?? (tools.length ? 'tool' : 'end'),
      model: turn.model ?? model,
      chunk: turn.chunk ?? 16,
    }
    const out = build[api](a, body)
    entry.answer = 200
    if (!stream) {
      if (turn.stall) return void (entry.answer = 'stall')
      if (turn.truncate) {
        entry.answer = 'truncate'
        return req.socket.destroy()
      }
      if (turn.streamError) {
        entry.answer = turn.streamError.status ?? 500
        return send(entry.answer, errorBody(api, { status: entry.answer, ...turn.streamError }), extra)
      }
      if (turn.malformed) entry.answer = 'malformed'
      return send(200, turn.malformed ? '{"id": "stub", "content": [' : out.json, extra)
    }

    res.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'request-id': uid('req_'),
      'x-request-id': uid('req_'),
      ...extra,
    })
    const write = ([name, data]) =>
      res.write(`${name ? `event: ${name}\n` : ''}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`)
    for (let i = 0; i < out.events.length; i++) {
      if (res.destroyed) return
      write(out.events[i])
      if (i === out.firstDelta) {
        if (turn.truncate) {
          entry.answer = 'truncate'
          await sleep(20)
          return res.destroy()
        }
        if (turn.stall) {
          entry.answer = 'stall'
          return
        }
        if (turn.unfinished) {
          entry.answer = 'unfinished'
          return res.end()
        }
        if (turn.malformed) {
          entry.answer = 'malformed'
          res.write(`${out.events[i][0] ? `event: ${out.events[i][0]}\n` : ''}data: {"type": "oops", "broken\n\n`)
          return res.end()
        }
        if (turn.streamError) {
          entry.answer = 'streamError'
          write(streamErrorEvent(api, turn.streamError))
          return res.end()
        }
      }
      if (turn.chunkMs) await sleep(turn.chunkMs)
    }
    res.end()
  }

  const server = http.createServer((req, res) => {
    handle(req, res).catch((e) => {
      if (res.headersSent) res.destroy()
      else {
        res.writeHead(500, { 'content-type': 'application/json' })
        res.end(JSON.stringify({ error: { message: `stub failed: ${e.message}`, type: 'stub_error' } }))
      }
    })
  })
  server.on('connection', (s) => {
    sockets.add(s)
    s.on('close', () => sockets.delete(s))
  })
  server.keepAliveTimeout = 5000
  await new Promise((ok, bad) => {
    server.once('error', bad)
    server.listen(port, host, ok)
  })
  const at = server.address().port
  return {
    port: at,
    url: `http://${host}:${at}`,
    requests,
    setScenario(s) {
      scenario = s
      state.clear()
    },
    reset() {
      state.clear()
      requests.length = 0
    },
    close() {
      for (const s of sockets) s.destroy()
      return new Promise((r) => server.close(() => r()))
    },
  }
}
