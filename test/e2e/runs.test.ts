// Runs at the command line: progress, signals, exit codes, background, attaching, gates, resuming, GitHub Actions.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { runCli, startCli, temporaryDirectory } from '../support/cli.ts'

const utf8 = { LANG: 'C.UTF-8' }

/** A directory with a pipeline of these nodes (YAML of the list). */
function home(nodes: string, more = ''): string {
  const cwd = temporaryDirectory()
  writeFileSync(path.join(cwd, 'p.yaml'), `name: demo\n${more}nodes:\n${nodes}\n`)
  return cwd
}
const SLEEPS = '  - { id: slow, run: "echo started; sleep 60", grace: 1s }\n  - { id: after, run: "true" }'

test('plain progress tells retries; the closing line is on stderr, stdout stays empty', async () => {
  const cwd = home(
    '  - id: flaky\n    run: test "$SPANWRIGHT_ATTEMPT" -ge 2\n    retry: { max_attempts: 3, initial: 1ms }',
  )
  const { exitCode, stdout, stderr } = await runCli(['run', 'p.yaml'], { cwd, env: utf8 })
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' })
  expect(stderr).toMatch(/↻ flaky@1\.1 +attempt 2 of 3 in \d+ms: exit_nonzero/)
  expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/^ ✓ demo succeeded in \S+ +1 node, 2 attempts, 1 retry +\w{10}$/)
})

test('--ui json: entries on stdout, the end last; nothing else on stdout', async () => {
  const cwd = home('  - { id: a, run: "exit 4" }')
  const { exitCode, stdout } = await runCli(['run', 'p.yaml', '--ui', 'json'], { cwd })
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { event?: { type: string }; final?: { result: string } })
  expect(exitCode).toBe(1)
  expect(lines[0]?.event?.type).toBe('run.created')
  expect(lines.at(-1)?.final).toMatchObject({ result: 'failure', failure: { code: 'exit_nonzero' } })
})

test('--ui quiet says nothing about a success, and why about a failure', async () => {
  expect(await runCli(['run', 'p.yaml', '--ui', 'quiet'], { cwd: home('  - { id: a, run: "true" }') })).toMatchObject({
    stdout: '',
    stderr: '',
  })
  const failed = await runCli(['run', 'p.yaml', '--ui', 'quiet'], {
    cwd: home('  - { id: a, run: "echo boom >&2; exit 4" }'),
  })
  expect(failed.stderr).toContain('a exited with code 4: boom')
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s cancels, names what to do next, and exits %i', async (signal, exitCode) => {
  const cwd = home(SLEEPS)
  const run = startCli(['run', 'p.yaml'], { cwd, env: utf8 })
  await run.saw(/slow@1\.1 +started/)
  run.kill(signal)
  const ended = await run.ended
  expect(ended).toMatchObject({ exitCode, signal: null })
  expect(ended.stderr).toMatch(/⊘ demo canceled after/)
  expect(ended.stderr).toMatch(/spanwright resume \w{10}\n/)
})

test('a timeout exits 124, an error 5, an allowed failure 0', async () => {
  const exit = async (node: string): Promise<number | null> =>
    (await runCli(['run', 'p.yaml'], { cwd: home(node) })).exitCode
  expect(await exit('  - { id: a, run: "sleep 60", timeout: 300ms, grace: 100ms }')).toBe(124)
  expect(await exit('  - { id: a, run: [no-such-program-anywhere] }')).toBe(5)
  expect(await exit('  - { id: a, run: "exit 1", allow_failure: true }')).toBe(0)
})

test('a failing on_success hook is a hook failure: the node is fine, the run says so and exits 1', async () => {
  const cwd = home('  - { id: a, run: "true" }', 'hooks: { on_success: ["exit 9"] }\n')
  const { exitCode, stderr } = await runCli(['run', 'p.yaml'], { cwd, env: utf8 })
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(/hook failed +run: hook on_success .* exit_nonzero: /)
  expect(stderr).toMatch(/nodes +1 ok\n/)
  expect((await runCli(['show', 'latest'], { cwd, env: utf8 })).stdout).toMatch(/ hook +run on_success failed/)
})

test('--detach prints the run id; status, attach and cancel see the run; Ctrl-C only stops watching', async () => {
  const cwd = home(SLEEPS)
  const { exitCode, stdout } = await runCli(['run', 'p.yaml', '--detach'], { cwd })
  const runId = stdout.trim()
  expect({ exitCode, runId }).toMatchObject({ exitCode: 0, runId: expect.stringMatching(/^\w{26}$/) as unknown })
  const watching = startCli(['attach', runId], { cwd, env: utf8 })
  await watching.saw(/slow@1\.1 +started/)
  watching.kill('SIGINT')
  expect(await watching.ended).toMatchObject({ exitCode: 130 })
  expect(JSON.parse((await runCli(['status', '--json'], { cwd })).stdout)).toMatchObject([
    { run_id: runId, state: 'running', open_attempts: [{ attempt_id: 'slow@1.1' }] },
  ])
  const attached = startCli(['attach', runId.slice(0, 12).toLowerCase()], { cwd, env: utf8 })
  await attached.saw(/slow@1\.1 +started/)
  expect(await runCli(['cancel', runId], { cwd })).toMatchObject({ exitCode: 0 })
  expect(await attached.ended).toMatchObject({
    exitCode: 130,
    stderr: expect.stringContaining('demo canceled') as unknown,
  })
  expect(await runCli(['cancel', runId], { cwd })).toMatchObject({ exitCode: 4 })
})

test('--detach reports what went wrong before the start, with its exit code', async () => {
  const { exitCode, stdout, stderr } = await runCli(['run', 'nope.yaml', '--detach'], { cwd: temporaryDirectory() })
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toContain('nope.yaml does not exist')
})

test('--key: the second call attaches to the first and has its result', async () => {
  const cwd = home('  - { id: a, run: "sleep 0.5; exit 3" }')
  const first = startCli(['run', 'p.yaml', '--key', 'nightly'], { cwd })
  await first.saw(/a@1\.1 +started/)
  const second = await runCli(['run', 'p.yaml', '--key', 'nightly'], { cwd })
  expect([(await first.ended).exitCode, second.exitCode]).toEqual([1, 1])
  expect(JSON.parse((await runCli(['runs', '--json'], { cwd })).stdout)).toHaveLength(1)
})

test('a gate waits without a terminal, is listed and answered; the answer is on record', async () => {
  const cwd = home(
    '  - id: ship\n    gate: { question: "Ship it?", choices: [approve, reject] }\n  - { id: deploy, run: "true" }',
  )
  const run = startCli(['run', 'p.yaml'], { cwd, env: utf8 })
  await run.saw(/ship +waits for an answer: Ship it\?/)
  expect((await runCli(['gate', 'list'], { cwd })).stdout).toMatch(/ship +Ship it\? +approve\|reject/)
  expect(await runCli(['gate', 'answer', 'latest', 'nope', 'approve'], { cwd })).toMatchObject({ exitCode: 3 })
  expect(await runCli(['gate', 'answer', 'latest', 'ship', 'maybe'], { cwd })).toMatchObject({ exitCode: 2 })
  expect(await runCli(['gate', 'answer', 'latest', 'ship', 'approve', '--comment', 'go'], { cwd })).toMatchObject({
    exitCode: 0,
  })
  expect(await run.ended).toMatchObject({ exitCode: 0 })
  expect((await runCli(['events', 'latest', '--type', 'gate.answered'], { cwd })).stdout).toMatch(
    /approve, answered by \S+: go/,
  )
})

test('resume goes on with a canceled run; retry runs a failed node again', async () => {
  const cwd = home(
    '  - { id: slow, run: "test -e go || sleep 60", grace: 1s }\n  - { id: picky, run: "test -e fixed" }',
  )
  const run = startCli(['run', 'p.yaml'], { cwd })
  await run.saw(/slow@1\.1 +started/)
  run.kill('SIGTERM')
  await run.ended
  writeFileSync(path.join(cwd, 'go'), '')
  expect(await runCli(['resume', 'latest'], { cwd })).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/slow@1\.2 +started/) as unknown,
  })
  writeFileSync(path.join(cwd, 'fixed'), '')
  expect(await runCli(['retry', 'latest', 'nope'], { cwd })).toMatchObject({ exitCode: 3 })
  expect(await runCli(['retry', 'latest'], { cwd })).toMatchObject({
    exitCode: 0,
    stderr: expect.stringMatching(/picky@2\.1 +started/) as unknown,
  })
})

test('a step may not answer a gate of its own run', async () => {
  const cwd = home(
    '  - { id: eager, run: "$SPANWRIGHT_CLI gate answer latest ship approve", needs: [], allow_failure: true }\n  - { id: ship, needs: [], gate: { question: "Ship?", choices: [approve, reject], timeout: 4s, default: reject } }',
  )
  const cli = `${process.execPath} ${path.resolve('dist/cli/main.js')}`
  const { stderr } = await runCli(['run', 'p.yaml'], { cwd, env: { ...utf8, SPANWRIGHT_CLI: cli } })
  expect(stderr).toContain('not possible from inside a step')
  expect(stderr).toMatch(/ship +expired, becomes reject/)
})

test('the trace of the caller goes on', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
  const cwd = home('  - { id: a, run: "echo trace=$TRACEPARENT" }')
  const env = { TRACEPARENT: `00-${trace}-00f067aa0ba902b7-01` }
  await runCli(['run', 'p.yaml'], { cwd, env })
  expect((await runCli(['attempt', 'show', 'latest', 'a@1.1', '--output'], { cwd })).stdout).toContain(
    `trace=00-${trace}-`,
  )
  await runCli(['run', 'p.yaml', '--trace-parent', 'ignore'], { cwd, env })
  expect((await runCli(['attempt', 'show', 'latest', 'a@1.1', '--output'], { cwd })).stdout).not.toContain(trace)
})

test('GitHub Actions: failures are annotations, the summary is on the page of the job', async () => {
  const cwd = home('  - { id: a, run: "echo \\"::warning::sneaky\\" >&2; exit 2" }')
  const page = path.join(cwd, 'summary.md')
  const { stderr } = await runCli(['run', 'p.yaml'], {
    cwd,
    env: { ...utf8, GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: page },
  })
  expect(stderr).toMatch(/^::error title=demo failure::a exited with code 2: /m)
  expect(readFileSync(page, 'utf8')).toContain('### ❌ demo: failure')
})

test('SPANWRIGHT_STORE and --store say where runs are; a store that cannot be written is exit 5', async () => {
  const cwd = home('  - { id: a, run: "true" }')
  await runCli(['run', 'p.yaml'], { cwd, env: { SPANWRIGHT_STORE: 'elsewhere' } })
  expect(JSON.parse((await runCli(['runs', '--json', '--store', 'elsewhere'], { cwd })).stdout)).toHaveLength(1)
  writeFileSync(path.join(cwd, 'file'), '')
  mkdirSync(path.join(cwd, 'readable'))
  const { exitCode, stderr } = await runCli(['run', 'p.yaml', '--store', 'file'], { cwd })
  expect({ exitCode, lines: stderr.trimEnd().split('\n').length }).toEqual({ exitCode: 5, lines: 1 })
})
