// Owns: proof that what `npm pack` makes works where nothing of this repository is: installed into an empty folder by
// npm, started through npx, imported by a typed program, and refused in one sentence by a Node that is too old.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { childEnvironment, PROJECT_ROOT, temporaryDirectory } from '../support/cli.ts'

const manifest = JSON.parse(readFileSync(path.join(PROJECT_ROOT, 'package.json'), 'utf8')) as {
  version: string
  engines: { node: string }
}
const home = temporaryDirectory()
const packed: { files: string[] } = { files: [] }

function inHome(command: string, args: readonly string[]): { exitCode: number | null; stdout: string; stderr: string } {
  const run = spawnSync(command, args, { cwd: home, env: childEnvironment(), encoding: 'utf8', timeout: 120_000 })
  return { exitCode: run.status, stdout: run.stdout, stderr: run.stderr }
}

beforeAll(() => {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', home]
  const output = execFileSync('npm', args, { cwd: PROJECT_ROOT, env: childEnvironment(), encoding: 'utf8' })
  // npm prints a list of one, newer versions an object with one entry.
  const [archive] = Object.values(JSON.parse(output) as Record<string, { filename: string; files: { path: string }[] }>)
  packed.files = archive!.files.map((file) => file.path)
  writeFileSync(path.join(home, 'package.json'), '{ "name": "somewhere", "private": true, "type": "module" }\n')
  const install = ['install', path.join(home, archive!.filename), '--prefer-offline', '--no-audit', '--no-fund']
  const { exitCode, stderr } = inHome('npm', install)
  if (exitCode !== 0) throw new Error(`npm install failed: ${stderr}`)
}, 180_000)

test('the package holds the program, its schema, the quickstart and the stack, and nothing of the workshop', () => {
  const expected = ['dist/cli/main.js', 'dist/index.js', 'dist/index.d.ts', 'schema/pipeline.schema.json']
  const others = ['examples/quickstart.yaml', 'package.json', 'README.md', 'LICENSE']
  const stack = ['docker-compose.yml', '.env', 'collector/otelcol.yaml', 'collector/secrets/README.md']
  const dashboards = ['dashboards/spanwright-overview.json', 'dashboards/provisioning/datasources/spanwright.yaml']
  expect(packed.files).toEqual(expect.arrayContaining([...expected, ...others, ...stack, ...dashboards]))
  const workshop = /^(src|test|bench|scripts|node_modules|collector\/native|dashboards\/source)\/|\.tsbuildinfo$/
  expect(packed.files.filter((file) => workshop.test(file))).toEqual([])
})

test('npx spanwright --version prints the version', () => {
  expect(inHome('npx', ['spanwright', '--version'])).toMatchObject({ exitCode: 0, stdout: `${manifest.version}\n` })
})

test('npx spanwright runs the quickstart', () => {
  const run = inHome('npx', ['spanwright', 'run', 'node_modules/spanwright/examples/quickstart.yaml'])
  expect(run).toMatchObject({ exitCode: 0 })
  expect(run.stderr).toContain('quickstart')
})

test('an installed package finds its own compose file', () => {
  // With nothing on the path the next thing that is missing is docker.
  const up = spawnSync(process.execPath, ['node_modules/spanwright/dist/cli/main.js', 'stack', 'up'], {
    cwd: home,
    env: { ...childEnvironment(), PATH: home },
    encoding: 'utf8',
  })
  expect(up).toMatchObject({ status: 5, stderr: expect.stringContaining('no `docker` on PATH') })
})

test('npx spanwright run exits 1 for a pipeline that fails, 2 for one that is not there', () => {
  writeFileSync(path.join(home, 'failing.yaml'), 'name: failing\nnodes:\n  - { id: broken, run: exit 3 }\n')
  expect(inHome('npx', ['spanwright', 'run', 'failing.yaml']).exitCode).toBe(1)
  expect(inHome('npx', ['spanwright', 'run', 'missing.yaml']).exitCode).toBe(2)
})

test('a typed program can import the library', () => {
  mkdirSync(path.join(home, 'src'), { recursive: true })
  const program = [
    "import { pipeline, run, runPipeline } from 'spanwright'",
    "const hello = pipeline({ name: 'hello', nodes: [run('say', { run: 'echo hi' })] })",
    'const { result } = await runPipeline(hello, {})',
    'const known: string = result',
    'console.log(known)',
  ]
  writeFileSync(path.join(home, 'src/program.ts'), `${program.join('\n')}\n`)
  // As in any TypeScript project for Node, the types of Node are there.
  const types = ['--types', 'node', '--typeRoots', path.join(PROJECT_ROOT, 'node_modules/@types')]
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', ...types, 'src/program.ts']
  const tsc = path.join(PROJECT_ROOT, 'node_modules/typescript/bin/tsc')
  expect(inHome(process.execPath, [tsc, ...options])).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  expect(inHome(process.execPath, ['src/program.ts'])).toMatchObject({ exitCode: 0, stdout: 'success\n' })
})

describe('on a Node that is too old', () => {
  const main = 'node_modules/spanwright/dist/cli/main.js'
  const floor = manifest.engines.node.replace('>=', '')

  test('a Node that says it is 20 is refused', () => {
    const shim = path.join(home, 'old-node.cjs')
    const old = "{ value: { ...process.versions, node: '20.11.1' } }"
    writeFileSync(
      shim,
      `Object.defineProperty(process, 'version', { value: 'v20.11.1' })\nObject.defineProperty(process, 'versions', ${old})\n`,
    )
    const { exitCode, stdout, stderr } = inHome(process.execPath, ['--require', shim, main, '--version'])
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain(floor)
    expect(stderr).toContain('20.11.1')
  })

  // The shim cannot show that an old parser gets as far as the check: the machine's own Node can, where it is old.
  test("the machine's own Node runs it or is refused, as its version says", () => {
    const node = oldestNodeOnPath()
    const { exitCode, stderr } = inHome(node.file, [main, '--version'])
    if (node.major >= 22) expect(exitCode).toBe(0)
    else {
      expect(exitCode).toBe(2)
      expect(stderr.trim().split('\n')).toHaveLength(1)
      expect(stderr).toContain(floor)
    }
  })
})

function oldestNodeOnPath(): { file: string; major: number } {
  const found = [{ file: process.execPath, major: Number(process.versions.node.split('.')[0]) }]
  for (const directory of (process.env['PATH'] ?? '').split(path.delimiter)) {
    const file = path.join(directory, 'node')
    const { status, stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' })
    if (status === 0) found.push({ file, major: Number(/^v(\d+)/.exec(stdout)?.[1]) })
  }
  return found.toSorted((a, b) => a.major - b.major)[0]!
}

test('publint finds nothing to complain about', () => {
  const run = spawnSync('npm', ['run', '--silent', 'package-check'], { cwd: PROJECT_ROOT, encoding: 'utf8' })
  expect({ exitCode: run.status, output: run.stdout }).toMatchObject({ exitCode: 0 })
})
