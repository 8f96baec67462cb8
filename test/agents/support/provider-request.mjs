// Owns: reading what an agent client asks of the scripted provider: which API, which tools it offers, which schema it wants;
// and putting a scripted tool call into the words of that client. Must not: answer anything.

const ALIASES = {
  shell: [
    'Bash',
    'bash',
    'exec_command',
    'shell_command',
    'shell',
    'local_shell',
    'container.exec',
    'run_shell_command',
  ],
  write: ['Write', 'write', 'write_file', 'create_file'],
  read: ['Read', 'read', 'read_file'],
}

export function route(pathname) {
  let m
  if (pathname.endsWith('/messages/count_tokens')) return { api: 'anthropic.count' }
  if (pathname.endsWith('/messages')) return { api: 'anthropic' }
  if (pathname.endsWith('/responses')) return { api: 'responses' }
  if (pathname.endsWith('/chat/completions')) return { api: 'chat' }
  if ((m = /\/models\/([^/:]+):(generateContent|streamGenerateContent|countTokens)$/.exec(pathname)))
    return {
      api: m[2] === 'countTokens' ? 'gemini.count' : 'gemini',
      model: decodeURIComponent(m[1]),
      stream: m[2] === 'streamGenerateContent',
    }
  if (/\/models(\/[^/]+)?$/.test(pathname)) return { api: 'models' }
  return { api: null }
}

/** The tools a request offers, whatever the provider's shape: [{ name, schema, custom }] */
export function offeredTools(api, body) {
  const out = []
  // Codex sends the tools of newer models as an input item of type "additional_tools"
  const extra =
    api === 'responses' && Array.isArray(body?.input)
      ? body.input.filter((i) => i?.type === 'additional_tools').flatMap((i) => i.tools ?? [])
      : []
  for (const t of [...(body?.tools ?? []), ...extra]) {
    if (api === 'gemini')
      for (const f of t.functionDeclarations ?? [])
        out.push({ name: f.name, schema: f.parametersJsonSchema ?? f.parameters })
    else if (api === 'chat') out.push({ name: t.function?.name, schema: t.function?.parameters })
    else if (api === 'anthropic') out.push({ name: t.name, schema: t.input_schema })
    else if (t.type === 'namespace')
      for (const f of t.tools ?? [])
        out.push({ name: f.name, namespace: t.name, schema: f.parameters, custom: f.type === 'custom' })
    else out.push({ name: t.name ?? t.type, schema: t.parameters, custom: t.type === 'custom' })
  }
  return out.filter((t) => t.name)
}

/** The JSON schema the answer's text must follow, if the request asks for one. */
export function wantedSchema(api, body) {
  if (api === 'anthropic') return body.output_config?.format?.schema ?? body.output_format?.schema
  if (api === 'responses') return body.text?.format?.schema
  if (api === 'chat') return body.response_format?.json_schema?.schema
  if (api === 'gemini') return body.generationConfig?.responseJsonSchema ?? body.generationConfig?.responseSchema
}

/** A minimal instance of a JSON schema (required properties only). */
export function instance(s, name = '') {
  if (!s || typeof s !== 'object') return 'stub'
  if (s.const !== undefined) return s.const
  if (s.enum) return s.enum[0]
  if (s.default !== undefined) return s.default
  if (s.anyOf || s.oneOf) return instance((s.anyOf ?? s.oneOf)[0], name)
  const t = String(Array.isArray(s.type) ? s.type[0] : (s.type ?? (s.properties ? 'object' : 'string'))).toLowerCase()
  if (t === 'object') return Object.fromEntries((s.required ?? []).map((k) => [k, instance(s.properties?.[k], k)]))
  if (t === 'array') return Array.from({ length: s.minItems ?? 0 }, () => instance(s.items))
  if (t === 'number' || t === 'integer') return s.minimum ?? 1
  if (t === 'boolean') return false
  return t === 'null' ? null : `stub ${name}`.trim()
}

/** Resolve a scripted tool call against what the client offers. */
export function resolveTool(call, offered) {
  const names = ALIASES[call.name]
  const tool = names ? offered.find((t) => names.includes(t.name)) : offered.find((t) => t.name === call.name)
  const id = call.id
  const { command, path, content } = call.args ?? {}
  // Codex: files are written by the shell command apply_patch; its "code mode" wraps every tool in the custom tool exec (JavaScript)
  if (!tool && call.name === 'write' && offered.some((t) => ['exec_command', 'exec'].includes(t.name)))
    return resolveTool(
      {
        id,
        name: 'shell',
        args: {
          command: `apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: ${path}\n${String(content).replace(/\n$/, '').replace(/^/gm, '+')}\n*** End Patch\nEOF`,
        },
      },
      offered,
    )
  if (!tool && call.name === 'read')
    return resolveTool({ id, name: 'shell', args: { command: `cat '${path}'` } }, offered)
  const js = !tool && call.name === 'shell' && offered.find((t) => t.custom && t.name === 'exec')
  if (js)
    return {
      id,
      name: js.name,
      namespace: js.namespace,
      custom: true,
      input: `const r = await tools.exec_command(${JSON.stringify({ cmd: command })});\ntext(r.output ?? r);\n`,
    }
  if (!tool)
    return {
      id,
      name: names ? names[0] : call.name,
      args: call.args ?? {},
      input: call.input,
      custom: call.input !== undefined,
    }
  if (tool.custom)
    return {
      id,
      name: tool.name,
      custom: true,
      input: call.input ?? JSON.stringify(call.args ?? {}),
      namespace: tool.namespace,
    }
  const args = { ...call.args }
  const props = tool.schema?.properties ?? {}
  if (names) {
    for (const k of ['command', 'path', 'content']) delete args[k]
    if (command !== undefined) {
      const key = ['command', 'cmd'].find((k) => props[k]) ?? 'command'
      const isArray = String(props[key]?.type).toLowerCase() === 'array'
      args[key] = isArray ? ['bash', '-lc', command] : command
    }
    if (path !== undefined)
      args[['file_path', 'filePath', 'path', 'absolute_path'].find((k) => props[k]) ?? 'path'] = path
    if (content !== undefined) args[['content', 'text'].find((k) => props[k]) ?? 'content'] = content
    for (const k of tool.schema?.required ?? []) if (!(k in args)) args[k] = instance(props[k], k)
  }
  return { id, name: tool.name, args, namespace: tool.namespace }
}

const SECRET = /^(authorization|x-api-key|x-goog-api-key|api-key|cookie|proxy-authorization)$/i

/** Headers without credentials. */
export function blankHeaders(h) {
  const o = {}
  for (const [k, v] of Object.entries(h)) o[k] = SECRET.test(k) ? '<blank>' : v
  return o
}
