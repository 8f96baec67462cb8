// Owns: proof that the examples and the project's own pipeline are what the documentation says: they validate, the
// quickstart shows what it promises, and a run in an empty directory needs nothing but the file.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { PROJECT_ROOT, runCli, temporaryDirectory } from '../support/cli.ts'

interface Final {
  result: string
  hook_failures: unknown[]
  totals: Record<string, number>
  nodes: { path: string; result: string; attempts: number }[]
  resumable: boolean
}

/** What final.json of the only run in `directory` says. */
function finalOf(directory: string): Final {
  const runs = path.join(directory, '.spanwright/runs')
  const [run] = readdirSync(runs)
  return JSON.parse(readFileSync(path.join(runs, run!, 'final.json'), 'utf8')) as Final
}

test.each([
  'examples/quickstart.yaml',
  'examples/packages.yaml',
  'examples/agent-command.yaml',
  'examples/agents.yaml',
  'examples/typescript.ts',
  'ci.pipeline.yaml',
])('%s is valid', async (file) => {
  const { exitCode, stderr } = await runCli(['validate', path.join(PROJECT_ROOT, file)], { env: { LC_ALL: 'C.UTF-8' } })
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringMatching(/^✓ 1 pipeline valid$/m) as string,
  })
})

test('examples/agent-command.yaml: the second attempt is told, the review decides, the tokens cost', async () => {
  const cwd = temporaryDirectory()
  const { exitCode, stderr } = await runCli(['run', path.join(PROJECT_ROOT, 'examples/agent-command.yaml')], { cwd })
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 })
  expect(readFileSync(path.join(cwd, 'greeting.txt'), 'utf8')).toBe('Hello, world!\n')
  const final = finalOf(cwd)
  expect(final.totals).toMatchObject({ attempts: 4, retries: 1, cost_usd: 0.003_04, cost_unpriced: 0 })
  expect(final.nodes).toMatchObject([{ path: 'write', attempts: 2 }, { path: 'review', label: 'approve' }, {}])
})

describe('the quickstart', () => {
  const cwd = temporaryDirectory()
  const quickstart = path.join(PROJECT_ROOT, 'examples/quickstart.yaml')

  test('succeeds with one retry, three branches and a check that fails without harm', async () => {
    const { exitCode, stderr } = await runCli(['run', quickstart], { cwd })
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 })
    const final = finalOf(cwd)
    expect(final).toMatchObject({ result: 'success', hook_failures: [], resumable: false })
    expect(final.totals).toMatchObject({ retries: 1, branches: 3, attempts: 7 })
    expect(final.nodes.find((node) => node.path === 'flaky')).toMatchObject({ result: 'success', attempts: 2 })
    expect(final.nodes.find((node) => node.path === 'greet')).toMatchObject({
      result: 'success',
      children: { total: 3, failed: 0 },
    })
  })

  test('leaves the flaky attempt and the failed check to be seen', async () => {
    const events = await runCli(['events', 'latest', '--json'], { cwd })
    expect(events.exitCode).toBe(0)
    expect(events.stdout).toContain('retry.scheduled')
    expect(events.stdout).toMatch(/"type":"check\.finished".*"name":"spotless".*"passed":false/)
    expect(events.stdout).toMatch(/"type":"hook\.finished"/)
    const attempt = await runCli(['attempt', 'show', 'latest', 'flaky@1.1', '--output'], { cwd })
    expect(attempt.stdout).toContain('the network is having a moment')
  })
})

test('examples/typescript.ts runs from the project', async () => {
  const store = temporaryDirectory()
  const args = ['run', 'examples/typescript.ts', '--store', store]
  const { exitCode, stderr } = await runCli(args, { cwd: PROJECT_ROOT })
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 })
})
