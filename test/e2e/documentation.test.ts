// Owns: proof that the documentation speaks of the program as it is: every `spanwright …` command and option in it
// exists, and every pipeline shown in it validates.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { PROJECT_ROOT, runCli, temporaryDirectory } from '../support/cli.ts'

const documents = ['README.md', ...readdirSync(path.join(PROJECT_ROOT, 'docs')).map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, text: readFileSync(path.join(PROJECT_ROOT, name), 'utf8') }))

/**
 * `spanwright …` in code: spans, and lines of blocks; what follows a comment sign is not part of the command, and
 * `-p spanwright` is a project of docker compose.
 */
function commandsIn(text: string): string[] {
  const code = [...text.matchAll(/^```sh\n([\s\S]*?)^```|`([^`\n]+)`/gm)].flatMap((match) =>
    (match[1] ?? match[2]!).split('\n'),
  )
  return code.flatMap((line) => /(?<!-p )\bspanwright ([a-z].*)/.exec(line.replace(/ +#.*/, ''))?.[1] ?? [])
}

const uses = documents.flatMap(({ name, text }) => commandsIn(text).map((command) => ({ name, command })))
const byCommand = Map.groupBy(
  uses,
  ({ command }) => /^(?:attempt|gate|stack|trace export)(?: [a-z]+)?|^[a-z]+/.exec(command)?.[0] ?? command,
)

describe.each([...byCommand].map(([command, found]) => ({ command, found })))(
  'spanwright $command',
  ({ command, found }) => {
    test('exists with the options that are shown', async () => {
      const { exitCode, stdout } = await runCli([...command.split(' '), '--help'])
      expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 })
      const options = new Set(found.flatMap((use) => use.command.match(/(?<= )--[a-z-]+/g) ?? []))
      for (const option of options) expect(stdout).toContain(option)
    })
  },
)

/** A whole pipeline around a fragment, with what fragments speak of. */
function wholePipeline(block: string): string | undefined {
  const params = 'params: { suites: { type: array, default: [a] }, target: { type: string, default: here } }\n'
  if (/^name:/m.test(block)) return block
  if (block.startsWith('nodes:')) return `name: shown\n${params}${block}`
  if (block.startsWith('- id:')) return `name: shown\n${params}nodes:\n${block}`
  return undefined
}

const shown = documents.flatMap(({ name, text }) =>
  [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].flatMap((match, index) => {
    const pipeline = wholePipeline(match[1]!)
    return pipeline === undefined ? [] : [{ place: `${name} ${index + 1}`, pipeline }]
  }),
)
test.each(shown)('the pipeline in $place validates', async ({ pipeline }) => {
  const cwd = temporaryDirectory()
  writeFileSync(
    path.join(cwd, 'deploy.yaml'),
    'name: deploy\nparams: { target: { type: string } }\nnodes: [{ id: go, run: "true" }]\n',
  )
  writeFileSync(path.join(cwd, 'shown.yaml'), pipeline)
  const { exitCode, stdout } = await runCli(['validate', 'shown.yaml'], { cwd })
  expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 })
})
