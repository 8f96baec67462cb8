// Owns: proof that examples/packages.yaml does real work: ten packages from npm, each parsed in full. Needs the registry
// or a warm cache, so it belongs to the packaging suite.
import { expect, test } from 'vitest'
import { PROJECT_ROOT, runCli, temporaryDirectory } from '../support/cli.ts'

test('ten packages are fetched, parsed and counted', async () => {
  const store = temporaryDirectory()
  const run = await runCli(['run', 'examples/packages.yaml', '--store', store], {
    cwd: PROJECT_ROOT,
    timeoutMs: 120_000,
  })
  expect({ exitCode: run.exitCode, stderr: run.stderr }).toMatchObject({ exitCode: 0 })
  const attempt = await runCli(['attempt', 'show', 'latest', 'report@1.1', '--output', '--store', store], {
    cwd: PROJECT_ROOT,
  })
  for (const name of [
    'zod',
    'execa',
    'pino',
    'yaml',
    'commander',
    'ulid',
    'fast-check',
    'publint',
    '@opentelemetry/api',
  ]) {
    expect(attempt.stdout).toMatch(new RegExp(`^${name} +\\d+\\.\\d+\\.\\d+ +\\d`, 'm'))
  }
}, 150_000)
