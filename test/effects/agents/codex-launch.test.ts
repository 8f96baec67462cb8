// How Codex is started: its arguments, its environment, its files; and what is known of its credentials before.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { AgentSpec } from '../../../src/core/agent.ts'
import type { AgentLaunch } from '../../../src/effects/agents/adapter.ts'
import { codex } from '../../../src/effects/agents/codex.ts'
import { agentTelemetry } from '../../../src/effects/agent-telemetry.ts'
import { agentRequest, type RequestChanges } from './contract.ts'

const CUSTOM = ['-c', 'model_provider="p"', '-c', 'model_providers.p={name="p",base_url="http://x/v1",env_key="P_KEY"}']

const homes: string[] = []
afterEach(() => {
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true })
})
function homeWith(files: Readonly<Record<string, string>>): string {
  const home = mkdtempSync(path.join(tmpdir(), 'spanwright-codex-'))
  homes.push(home)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(home, name)), { recursive: true })
    writeFileSync(path.join(home, name), text)
  }
  return home
}

const asked = (changes: RequestChanges = {}) =>
  codex.launch(agentRequest({ ...changes, spec: { use: 'codex', ...changes.spec } }))

function launched(changes: RequestChanges = {}): AgentLaunch {
  const launch = asked(changes)
  if ('problem' in launch) throw new Error(launch.problem)
  return launch
}

describe('arguments', () => {
  test('the prompt comes on its standard input', () => {
    const { file, args, stdin, env, files } = launched()
    expect({ file, args, stdin, env, files }).toEqual({
      file: 'codex',
      args: ['exec', '--json', '--skip-git-repo-check', '-s', 'workspace-write', '--add-dir', '/run/attempt', '-'],
      stdin: 'Do it.',
      env: {},
      files: [],
    })
  })

  test.each([
    ['read', ['-s', 'read-only']],
    ['workspace', ['-s', 'workspace-write', '--add-dir', '/run/attempt']],
    ['full', ['-s', 'danger-full-access']],
  ] as const)('permission %s', (permission, expected) => {
    expect(launched({ spec: { permission } }).args.slice(3, -1)).toEqual(expected)
  })

  test('the user’s own sandbox arguments replace ours', () => {
    for (const args of [['-s', 'read-only'], ['--sandbox=read-only'], ['--dangerously-bypass-approvals-and-sandbox']])
      expect(launched({ spec: { args } }).args.slice(3, -1)).toEqual(args)
  })

  test('model, schema, conversation; the user’s come last before the conversation', () => {
    const output_schema = { type: 'object' }
    const spec = { model: 'gpt-5.5', permission: 'read' as const, output_schema, args: ['--strict-config'] }
    const { args, files } = launched({ spec, session: { id: 'thread' } })
    const schema = '/run/attempt/output-schema.json'
    expect(args.slice(3)).toEqual([
      ...['-m', 'gpt-5.5', '-s', 'read-only', '--output-schema', schema, '--strict-config', 'resume', 'thread', '-'],
    ])
    expect(files).toEqual([{ path: schema, text: '{"type":"object"}' }])
  })

  test('a provider of the user tries again only so often, unless he says how often', () => {
    const bounds = (args: readonly string[], home = '/none'): string[] =>
      launched({ spec: { args }, home }).args.filter((arg) => arg.includes('max_retries'))
    const bound = ['model_providers.p.request_max_retries=2', 'model_providers.p.stream_max_retries=2']
    expect(bounds([])).toEqual([])
    expect(bounds(CUSTOM)).toEqual(bound)
    expect(bounds([], homeWith({ '.codex/config.toml': 'model = "x"\nmodel_provider = "p"\n' }))).toEqual(bound)
    expect(bounds([...CUSTOM, '-c', 'model_providers.p.stream_max_retries=5'])).toEqual([
      bound[0],
      'model_providers.p.stream_max_retries=5',
    ])
  })

  test('its own telemetry when that is switched on', () => {
    const own = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', SPANWRIGHT_AGENT_TELEMETRY: 'on' }
    const { args } = launched({ env: agentTelemetry(own)('run attempt') })
    expect(args.slice(3, 5)).toEqual([
      '-c',
      'otel.trace_exporter={otlp-http={endpoint="http://127.0.0.1:4318/v1/traces",protocol="binary"}}',
    ])
    expect(args).toContain('otel.log_user_prompt=false')
  })

  test('an isolated home: it makes its folder there', () => {
    const changes = { isolated: true, home: '/run/home', env: { HOME: '/home/user', CODEX_HOME: '/home/user/.codex' } }
    expect(launched(changes).env).toEqual({ HOME: '/run/home', CODEX_HOME: '' })
  })

  test.each([
    [{ allowed_tools: ['shell'] }, 'agent.allowed_tools'],
    [{ denied_tools: ['shell'] }, 'agent.denied_tools'],
    [{ max_turns: 3, args: ['--ephemeral'] }, 'agent.max_turns'],
  ])('what it cannot do is a problem: %j', (spec: Partial<AgentSpec>, key) => {
    expect(asked({ spec })).toEqual({ problem: expect.stringMatching(`^${key}: codex .*leave`) })
  })
})

test('its version', () => {
  expect(codex.parseVersion('codex-cli 0.169.0\n')).toBe('0.169.0')
  expect(codex.parseVersion('something else')).toBeUndefined()
})

describe('credentials', () => {
  const problem = (env: Record<string, string>, home: string, spec: Partial<AgentSpec> = {}): string | undefined =>
    codex.credentialProblem(agentRequest({ spec: { use: 'codex', ...spec } }).spec, env, home)

  test('CODEX_API_KEY or a login; not OPENAI_API_KEY', () => {
    const home = homeWith({})
    expect(problem({}, home)).toMatch('run `codex login`, set CODEX_API_KEY')
    expect(problem({ OPENAI_API_KEY: 'k' }, home)).toMatch('it does not look at OPENAI_API_KEY')
    expect(problem({ CODEX_API_KEY: 'k' }, home)).toBeUndefined()
    expect(problem({}, homeWith({ '.codex/auth.json': '{}' }))).toBeUndefined()
    expect(problem({ CODEX_HOME: path.join(homeWith({ 'own/auth.json': '{}' }), 'own') }, home)).toBeUndefined()
  })

  test('logins elsewhere cannot be told', () => {
    expect(problem({}, homeWith({ '.codex/config.toml': 'cli_auth_credentials_store = "keyring"' }))).toBeUndefined()
    expect(problem({}, homeWith({ '.codex/config.toml': 'model_provider = "mine"' }))).toBeUndefined()
    expect(problem({}, homeWith({}), { args: ['--oss'] })).toBeUndefined()
    expect(problem({}, homeWith({}), { program: '/opt/our-codex' })).toBeUndefined()
    expect(problem({}, homeWith({}), { program: '/opt/bin/codex' })).toMatch('no credentials')
  })

  test('the variable that a provider names', () => {
    expect(problem({}, homeWith({}), { args: CUSTOM })).toMatch('needs the variable P_KEY')
    expect(problem({ P_KEY: 'k' }, homeWith({}), { args: CUSTOM })).toBeUndefined()
  })

  test('an isolated home has no login', () => {
    const home = homeWith({ '.codex/auth.json': '{}' })
    expect(problem({}, home, { home: 'isolated' })).toMatch('isolated home')
    expect(problem({ CODEX_API_KEY: 'k' }, home, { home: 'isolated' })).toBeUndefined()
  })
})
