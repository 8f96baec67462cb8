// Alert rules and routes through the tools of their servers: promtool with the unit tests of the rules, amtool with the
// routes, in the versions that ship.
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { programs, type Program } from '../../scripts/native-stack/binaries.ts'
import { PROJECT_ROOT } from '../support/cli.ts'

const collector = path.join(PROJECT_ROOT, 'collector')
const yamlIn = (directory: string): string[] =>
  readdirSync(path.join(collector, directory)).filter((name) => name.endsWith('.yml'))
const EXAMPLES = yamlIn('alertmanager/examples').map((name) => `alertmanager/examples/${name}`)

let tools: Record<'promtool' | 'amtool', string>
beforeAll(async () => {
  tools = await programs(['promtool', 'amtool'], { report: (line) => console.error(line) })
})
/** What the tool prints; its complaint when it is not content. */
async function run(tool: Extract<Program, 'promtool' | 'amtool'>, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(tools[tool], args, { cwd: collector }).catch((error: unknown) => {
    const { stdout: said, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`${tool} ${args.join(' ')}:\n${said}${stderr}`)
  })
  return stdout
}

describe('rules', () => {
  it('are without a fault', async () => {
    const files = yamlIn('rules').map((name) => `rules/${name}`)
    expect(await run('promtool', 'check', 'rules', '--lint=all', '--lint-fatal', ...files)).toMatch(/SUCCESS/)
  })
  it('are found by the configuration of Prometheus', async () => {
    expect(await run('promtool', 'check', 'config', 'prometheus.yml')).toMatch(
      new RegExp(`${yamlIn('rules').length} rule files found`),
    )
  })
  it.each(yamlIn('rules/tests'))('fire, stay, resolve and are silent as %s says', async (name) => {
    expect(await run('promtool', 'test', 'rules', `rules/tests/${name}`)).toMatch(/SUCCESS/)
  })
})

describe('routes', () => {
  const FILES = ['alertmanager.yml', ...EXAMPLES]
  it.each(FILES)('%s is valid', async (file) => {
    expect(await run('amtool', 'check-config', file)).toMatch(/SUCCESS/)
  })
  it.each(FILES)('%s sends by severity', async (file) => {
    for (const severity of ['page', 'warning', 'info'])
      expect(
        (
          await run(
            'amtool',
            'config',
            'routes',
            'test',
            `--config.file=${file}`,
            `severity=${severity}`,
            'alertname=X',
          )
        ).trim(),
      ).toBe(severity)
  })
})
