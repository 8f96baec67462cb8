// Which texts are taken for secrets, and which are not. Keys are put together here so that no file holds one.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { SECRET_FORMATS, secretIn } from '../../src/effects/checks/secret-formats.ts'

const mixed = (length: number): string => 'aB3dE6gH9j'.repeat(Math.ceil(length / 10)).slice(0, length)
const joined = (...parts: string[]): string => parts.join('')

const KEYS: [name: string, key: string][] = [
  ['AWS access key id', joined('AKIA', 'QRSTUVWX2345ABCD')],
  ['Anthropic API key', joined('sk-', 'ant-api03-', mixed(93), 'AA')],
  ['OpenAI API key', joined('sk-', 'proj-', mixed(74), 'T3Blbk', 'FJ', mixed(74))],
  ['OpenAI API key', joined('sk-', mixed(20), 'T3Blbk', 'FJ', mixed(20))],
  ['GitHub token', joined('gh', 'p_', mixed(36))],
  ['GitHub token', joined('github_', 'pat_', mixed(22), '_', mixed(59))],
  ['GitLab token', joined('gl', 'pat-', mixed(20))],
  ['Google API key', joined('AI', 'za', mixed(35))],
  ['Slack token', joined('xox', 'b-', '123456789012-123456789012-', mixed(24))],
  ['Slack webhook', joined('https://hooks.', 'slack.com/services/T01234567/B01234567/', mixed(24))],
  ['Stripe secret key', joined('sk_', 'live_', mixed(24))],
  ['npm token', joined('npm', '_', mixed(36))],
  ['PyPI token', joined('pypi-', 'AgEIcHlwaS5vcmc', mixed(60))],
  ['Hugging Face token', joined('hf', '_', 'abcdefghijklmnopqrstuvwxyzABCDEFGH')],
  ['SendGrid API key', joined('SG', '.', mixed(22), '.', mixed(43))],
  ['private key', joined('-----BEGIN ', 'OPENSSH PRIVATE', ' KEY-----')],
  ['private key', joined('-----BEGIN ', 'PRIVATE', ' KEY-----')],
  ['password in a URL', joined('postgres://app:', 's3cret-word', '@db.example.org/main')],
]

test.each(KEYS)('%s', (name, key) => {
  for (const line of [key, `  token: "${key}",`, `export KEY='${key}' # mine`]) expect(secretIn(line)).toBe(name)
})

test.each([
  ['a commit', 'f572d396fae9206628714fb2ce00f72e94f2258f'],
  ['a UUID', 'id: 123e4567-e89b-12d3-a456-426614174000'],
  ['an integrity', 'sha512-7o4KVgCxbmTdgCiVsnEhKhSgPAFUGJVXHFJNJRo5KLFJPOYxCeL9gVMKdMxBEYs9nHkLmGQqCWHgdm2A5JYA=='],
  ['a reference', 'url: postgres://app:${DB_PASSWORD}@db/main'],
  ['a place for one', 'https://<user>:<password>@host'],
  ['a port', 'http://localhost:8080/path@2x.png'],
  ['a public key', '-----BEGIN PUBLIC KEY-----'],
  ['prose', 'The sk-proj prefix, ghp_ tokens and AKIA ids are looked for.'],
  ['a snake_case name', 'const hf_model_name_of_the_largest_kind = npm_config_registry'],
])('not %s', (_, line) => {
  expect(secretIn(line)).toBeUndefined()
})

test('the documentation names every format', () => {
  const text = readFileSync('docs/checks.md', 'utf8').replaceAll(/\s+/g, ' ')
  for (const { name } of SECRET_FORMATS) expect(text).toContain(name)
})
