// The commands that read and explain, and every kind of bad input: through the built program, as a user calls it.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { childEnvironment, PROJECT_ROOT, runCli, temporaryDirectory } from '../support/cli.ts'

const MAIN = path.join(PROJECT_ROOT, 'dist/cli/main.js')
const home = temporaryDirectory()
const utf8 = { LANG: 'C.UTF-8' }

const PIPELINE = `
name: mixed
params: { word: { type: string, default: hi } }
nodes:
  - { id: first, run: 'echo "\${{ params.word }}"' }
  - id: flaky
    run: 'if [ "$SPANWRIGHT_ATTEMPT" -lt 2 ]; then echo "not yet" >&2; exit 7; fi'
    retry: { max_attempts: 3, initial: 1ms }
  - id: lanes
    fanout:
      each: [api, web]
      as: lane
      key: \${{ lane }}
      nodes:
        - { id: build, run: 'echo building; printf "\\033[31mred\\033[0m\\n"; if [ "$SPANWRIGHT_BRANCH" = web ]; then echo "error: no module x" >&2; exit 3; fi' }
  - { id: after, run: 'true' }
`

beforeAll(async () => {
  writeFileSync(path.join(home, 'mixed.yaml'), PIPELINE)
  writeFileSync(path.join(home, 'ok.yaml'), 'name: fine\nnodes:\n  - { id: a, run: "true" }\n')
  writeFileSync(
    path.join(home, 'bad.yaml'),
    'name: bad\nnodes:\n  - { id: a, run: "true", retires: 3 }\n  - { id: b, run: "true", needs: [zz] }\n',
  )
  expect(await runCli(['run', 'mixed.yaml'], { cwd: home, env: utf8 })).toMatchObject({ exitCode: 1 })
})

const run = (args: readonly string[], env: Record<string, string> = utf8) => runCli(args, { cwd: home, env })
const json = async (args: readonly string[]): Promise<never> =>
  JSON.parse((await run([...args, '--json'])).stdout) as never

describe('a failed run, seen from every side', () => {
  test('show: result, original cause, retries, folded branches', async () => {
    const { exitCode, stdout, stderr } = await run(['show', 'latest'])
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toMatch(/^ mixed {3}\w{26} {3}✕ failure/)
    expect(stdout).toMatch(/ cause {3}exit_nonzero {2}lanes:web\/build@1\.1 {2}exited with code 3: error: no module x/)
    expect(stdout).toMatch(/✓ +flaky +success 1 retry +1 +2 /)
    expect(stdout).toMatch(/✓ +api +success/)
    expect(stdout).toMatch(/✕ +web\/build +exit_nonzero/)
    expect(stdout).toMatch(/- +after +skipped upstream_failed/)
    expect(stdout).not.toContain('\u001b')
  })
  test('show --json has result, cause, nodes with attempts and retries', async () => {
    const shown = (await json(['show', 'latest'])) as {
      nodes: { path: string; retries: number; attempts: number; result: string }[]
    }
    expect(shown).toMatchObject({
      pipeline: 'mixed',
      state: 'ended',
      result: 'failure',
      resumable: false,
      gates: [],
      node_count: 6,
    })
    expect(shown.nodes.map(({ path: at }) => at)).toEqual([
      'first',
      'flaky',
      'lanes',
      'lanes:api/build',
      'lanes:web/build',
      'after',
    ])
    expect(shown.nodes[1]).toMatchObject({ result: 'success', attempts: 2, retries: 1 })
  })
  test('runs carry their reason', async () => {
    expect((await run(['runs'])).stdout).toMatch(/mixed +✕ failure .* exit_nonzero: exited with code 3/)
    expect(await json(['runs', '--limit', '1'])).toMatchObject([
      { pipeline: 'mixed', result: 'failure', failure: { code: 'branch_failed' } },
    ])
    expect((await run(['runs', '--label', 'a=b'])).stderr).toContain('No runs with these labels')
  })
  test('attempt show tells command, cause, what it was told, output without control characters', async () => {
    const shown = (await run(['attempt', 'show', 'latest', 'lanes:web/build@1.1'])).stdout
    expect(shown).toMatch(/✕ failure +attempt 1 of 1/)
    expect(shown).toMatch(/process +pid \d+, exit code 3/)
    expect(shown).toContain('exit_nonzero')
    expect(shown).toMatch(/\n {3}building\n {3}red\n/)
    const context = (await run(['attempt', 'show', 'latest', 'flaky@1.2', '--context'])).stdout
    expect(context).toContain('not yet')
    expect((await run(['attempt', 'show', 'latest', 'flaky@1.2', '--diff'])).stderr).toContain('has no diff')
    expect((await run(['attempt', 'show', 'latest', 'flaky@1.1', '--output'])).stdout).toBe('not yet\n')
    expect(await json(['attempt', 'show', 'latest', 'flaky@1.1'])).toMatchObject({
      attempt_id: 'flaky@1.1',
      result: 'failure',
      failure: { code: 'exit_nonzero' },
    })
  })
  test('events: all of them, one type, a family, and as they stand in the journal', async () => {
    const journal = (await run(['events', 'latest', '--json'])).stdout
    const lines = journal
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { seq: number; event: { type: string } })
    expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, index) => index + 1))
    const retries = (await run(['events', 'latest', '--type', 'retry.scheduled'])).stdout.trimEnd().split('\n')
    expect(retries).toEqual([expect.stringMatching(/↻ flaky@1\.1 +attempt 2 of 3 in \d+ms: exit_nonzero/)])
    const family = (await run(['events', 'latest', '--type', 'attempt.*', '--json'])).stdout.trimEnd().split('\n')
    expect(family.every((line) => line.includes('"type":"attempt.'))).toBe(true)
  })
  test('trace draws every attempt, graph and validate say what the file is', async () => {
    expect((await run(['trace', 'latest'])).stdout).toMatch(/✕ attempt 1 +exit_nonzero[\s\S]*✓ attempt 2/)
    expect((await run(['graph', 'mixed.yaml'])).stdout).toContain('flaky')
    expect((await run(['graph', 'mixed.yaml', '--format', 'dot'])).stdout).toContain('digraph')
    expect(await run(['validate', 'mixed.yaml', 'ok.yaml'])).toMatchObject({ exitCode: 0, stdout: '' })
  })
})

test('validate reports all problems of all files and exits 2', async () => {
  const { exitCode, stdout } = await run(['validate', 'ok.yaml', 'bad.yaml', 'nope.yaml'])
  expect(exitCode).toBe(2)
  expect(stdout).toMatch(/error bad\.yaml:3:\d+ \S+ .*retires.*did you mean `retry`/)
  expect(stdout).toMatch(/error bad\.yaml:4:\d+ .*zz/)
  expect(stdout).toContain('nope.yaml')
  expect(await json(['validate', 'ok.yaml'])).toEqual({ valid: true, files: ['ok.yaml'], problems: [] })
})

test.each<[string[], number, RegExp]>([
  [['rnu'], 2, /`rnu` is no command, did you mean `run`\?/],
  [['ui'], 2, /not in this version/],
  [['doctor', 'latest'], 2, /not in this version/],
  [['run'], 2, /missing required argument `PIPELINE`/],
  [['run', 'nope.yaml'], 2, /nope\.yaml does not exist/],
  [['run', 'bad.yaml'], 2, /invalid pipeline/],
  [['run', '.'], 2, /not a regular file/],
  [['run', 'ok.yaml', '--parm', 'x'], 2, /unknown option `--parm`, did you mean --param/],
  [['run', 'ok.yaml', '--ui', 'fancy'], 2, /Allowed choices are/],
  [['run', 'ok.yaml', '--max-parallel', '0'], 2, /whole number from 1/],
  [['run', 'ok.yaml', '--label', 'x'], 2, /name=value/],
  [['run', 'ok.yaml', '--only', 'a', '--from', 'a'], 2, /cannot be given together/],
  [['run', 'ok.yaml', '--param', 'x=1'], 2, /unknown param `x`/],
  [['run', 'ok.yaml', '--params', 'nope.json'], 2, /params file nope\.json does not exist/],
  [['run', 'ok.yaml', '--params', 'bad.yaml'], 2, /unknown param/],
  [['run', 'ok.yaml', 'extra'], 2, /too many arguments/],
  [['show', 'zzzz'], 3, /no run "zzzz"/],
  [['attempt', 'show', 'latest', 'x@1.1'], 3, /no attempt x@1\.1/],
  [['attempt', 'show', 'latest', '../../x@1.1'], 3, /no attempt/],
  [['run', 'ok.yaml', '--only', 'zz'], 3, /zz/],
  [['gate', 'answer', 'latest', 'x', 'y'], 4, /not running/],
  [['resume', 'latest'], 4, /cannot be resumed|not resumable/],
  [['cancel', 'latest'], 4, /not running/],
  [['events', 'latest', '--type', 'nope'], 2, /no such event type/],
  [['prune', '--older-than', '3'], 2, /duration with a unit/],
  [['completion', 'tcsh'], 2, /bash, zsh, fish/],
  [['trace', 'export', 'latest'], 2, /--endpoint/],
])('%j ends with %i and says what to do', async (args, exitCode, message) => {
  const before = readdirSync(path.join(home, '.spanwright/runs')).length
  const result = await run(args)
  expect(result).toMatchObject({ exitCode, stdout: '' })
  expect(result.stderr.split('\n')[0]).toMatch(message)
  expect(result.stderr).not.toMatch(/^ {4}at /m)
  expect(readdirSync(path.join(home, '.spanwright/runs'))).toHaveLength(before)
})

test('help: of the program, of a command; what is not in this version is absent', async () => {
  const { exitCode, stdout } = await run(['--help'])
  expect(exitCode).toBe(0)
  for (const word of ['run', 'attempt show', 'gate answer', 'trace export', 'completion'])
    expect(stdout).toContain(word)
  expect(stdout).not.toMatch(/\b(doctor|queue|worker|ui)\b/)
  expect((await run(['run', '--help'])).stdout).toMatch(/--trace-parent <how>/)
  expect((await run([])).exitCode).toBe(2)
})

test('init writes a pipeline that is valid, runs, and is not overwritten', async () => {
  const cwd = temporaryDirectory()
  expect(await runCli(['init'], { cwd })).toMatchObject({ exitCode: 0, stdout: 'pipeline.yaml\n' })
  expect(await runCli(['validate', 'pipeline.yaml'], { cwd })).toMatchObject({ exitCode: 0, stdout: '' })
  expect(await runCli(['run', 'pipeline.yaml'], { cwd })).toMatchObject({ exitCode: 0 })
  writeFileSync(path.join(cwd, 'mine.yaml'), 'mine')
  expect(await runCli(['init', 'mine.yaml'], { cwd })).toMatchObject({ exitCode: 2 })
  expect(readFileSync(path.join(cwd, 'mine.yaml'), 'utf8')).toBe('mine')
})

test('the schema is JSON Schema, the same as the one in the package', async () => {
  const { stdout } = await run(['schema'])
  expect(JSON.parse(stdout)).toEqual(
    JSON.parse(readFileSync(path.join(PROJECT_ROOT, 'schema/pipeline.schema.json'), 'utf8')),
  )
})

test('a dry run shows the plan and starts nothing', async () => {
  const cwd = temporaryDirectory()
  writeFileSync(path.join(cwd, 'p.yaml'), PIPELINE)
  const { exitCode, stdout } = await runCli(['run', 'p.yaml', '--dry-run', '--param', 'word=hello'], { cwd, env: utf8 })
  expect(exitCode).toBe(0)
  expect(stdout).toMatch(/params +word="hello"[\s\S]*flaky +run[\s\S]*up to 3 attempts[\s\S]*lanes +fanout +each of/)
  expect(existsSync(path.join(cwd, '.spanwright'))).toBe(false)
})

test('a closed stdout ends nothing and is no error', () => {
  const command = `'${process.execPath}' '${MAIN}' events latest --json | head -n 1; echo "\${PIPESTATUS[0]}"`
  const lines = execFileSync('bash', ['-c', command], { cwd: home, env: childEnvironment(), encoding: 'utf8' })
    .trimEnd()
    .split('\n')
  expect(lines).toHaveLength(2)
  expect(lines[1]).toBe('0')
})

test('prune removes what ended long ago, and says what it freed', async () => {
  const cwd = temporaryDirectory()
  writeFileSync(path.join(cwd, 'ok.yaml'), 'name: fine\nnodes:\n  - { id: a, run: "true" }\n')
  await runCli(['run', 'ok.yaml'], { cwd })
  expect((await runCli(['prune'], { cwd })).stderr).toContain('Removed 0 runs')
  expect((await runCli(['prune', '--older-than', '1ms', '--dry-run'], { cwd })).stderr).toContain('Would remove 1 run')
  expect((await runCli(['prune', '--older-than', '1ms'], { cwd })).stderr).toContain('Removed 1 run')
  expect((await runCli(['runs'], { cwd })).stderr).toContain('No runs in')
})

describe('completion', () => {
  const words = async (...typed: string[]): Promise<string[]> =>
    (await run(['--complete', ...typed])).stdout.trimEnd().split('\n')
  test('commands, options, values, runs, nodes, attempts', async () => {
    expect(await words('')).toEqual(expect.arrayContaining(['run', 'attempt', 'gate', 'trace']))
    expect(await words('attempt', '')).toEqual(['show'])
    expect(await words('run', 'x.yaml', '--tr')).toEqual(['--trace-parent'])
    expect(await words('run', 'x.yaml', '--ui', '')).toEqual(['auto', 'tty', 'plain', 'json', 'quiet'])
    expect(await words('run', 'mixed.yaml', '--only', 'f')).toEqual(['first', 'flaky'])
    expect((await words('show', ''))[0]).toBe('latest')
    expect(await words('retry', 'latest', 'fl')).toEqual(['flaky'])
    expect(await words('attempt', 'show', 'latest', 'flaky@')).toEqual(['flaky@1.1', 'flaky@1.2'])
  })
  test('a sourced bash script completes words with colons and at signs', async () => {
    const bin = path.join(home, 'bin')
    mkdirSync(bin)
    writeFileSync(path.join(bin, 'spanwright'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`, {
      mode: 0o755,
    })
    const script = `
source <(spanwright completion bash)
try() { COMP_LINE="$1"; COMP_POINT=\${#1}; COMPREPLY=(); _spanwright; printf '%s\\n' "\${COMPREPLY[@]}"; echo --; }
try 'spanwright va'
try 'spanwright attempt show latest lanes:we'
try 'spanwright attempt show latest flaky@1.'
complete -p spanwright`
    const env = childEnvironment({ PATH: `${bin}:${process.env['PATH']}` })
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], { cwd: home, env, encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(stdout.split('\n')).toEqual([
      'validate',
      '--',
      'web/build@1.1',
      '--',
      '1.1',
      '1.2',
      '--',
      'complete -o default -F _spanwright spanwright',
      '',
    ])
  })
  test.each([
    ['zsh', '-n'],
    ['fish', '--no-execute'],
  ])('%s accepts its script where it is installed', async (shell, check) => {
    const { stdout } = await run(['completion', shell])
    expect(stdout).toContain('--complete')
    const file = path.join(home, `completion.${shell}`)
    writeFileSync(file, stdout)
    const { error, status } = spawnSync(shell, [check, file])
    expect(error === undefined ? status : 0).toBe(0)
  })
})
