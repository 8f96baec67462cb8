// Whether Claude Code can have credentials, and what it says of its version.
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { claude } from '../../../src/effects/agents/claude.ts'
import { temporaryDirectory } from '../../support/cli.ts'
import { agentRequest, type RequestChanges } from './contract.ts'

const problem = (env: Record<string, string>, home: string, spec: RequestChanges['spec'] = {}): string | undefined =>
  claude.credentialProblem(agentRequest({ spec }).spec, env, home)

test('without any it says what to set', () => {
  const home = temporaryDirectory()
  expect(problem({}, home)).toMatch(/set ANTHROPIC_API_KEY, or ANTHROPIC_AUTH_TOKEN .* or log in/)
  expect(problem({ ANTHROPIC_API_KEY: '' }, home)).toBeDefined()
})

test.each([
  'ANTHROPIC_API_KEY',
  'ANTHROPIC_AUTH_TOKEN',
  'CLAUDE_CODE_OAUTH_TOKEN',
  'CLAUDE_CODE_USE_BEDROCK',
  'CLAUDE_CODE_USE_VERTEX',
  'CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR',
])('%s is one', (name) => {
  expect(problem({ [name]: '1' }, temporaryDirectory())).toBeUndefined()
})

test('settings that are given may hold a helper', () => {
  expect(problem({}, temporaryDirectory(), { args: ['--settings', 'ci.json'] })).toBeUndefined()
})

test.runIf(process.platform === 'linux')('a login or a helper in the home counts, not in an isolated one', () => {
  const home = temporaryDirectory()
  mkdirSync(path.join(home, '.claude'))
  expect(problem({}, home)).toBeDefined()
  writeFileSync(path.join(home, '.claude/settings.json'), '{"apiKeyHelper":"get-key"}')
  expect(problem({}, home)).toBeUndefined()
  expect(problem({}, home, { home: 'isolated' })).toMatch(/isolated home/)

  const other = temporaryDirectory()
  writeFileSync(path.join(other, '.credentials.json'), '{}')
  expect(problem({ CLAUDE_CONFIG_DIR: other }, temporaryDirectory())).toBeUndefined()

  const console = temporaryDirectory()
  writeFileSync(path.join(console, '.claude.json'), '{"primaryApiKey":"k"}')
  expect(problem({}, console)).toBeUndefined()
})

test('its version', () => {
  expect(claude.parseVersion('2.1.329 (Claude Code)\n')).toBe('2.1.329')
  expect(claude.parseVersion('codex-cli 0.169.0')).toBeUndefined()
})
