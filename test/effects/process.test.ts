// What happens to a command: exits, signals, refusals of the system, floods, streams that stay open.
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
import type { CommandLine } from '../../src/core/pipeline.ts'
import { isAlive } from '../../src/effects/proc.ts'
import { attempt, ofType, program, until, workbench } from './support.ts'

describe('exit', () => {
  test('0 is success, with facts about the process', async () => {
    const { outcome } = await workbench().run({ argv: ['true'] })
    expect(outcome.failure).toBeUndefined()
    expect(outcome.process).toMatchObject({ executable: 'true', exit_code: 0 })
    expect(outcome.process!.pid).toBeGreaterThan(1)
    expect(outcome.duration_ms).toBeGreaterThan(0)
  })

  test('a non-zero code names command, code and the telling line', async () => {
    const { outcome, file } = await workbench().run(
      'echo compiling; echo "error: no rule to make api" >&2; echo bye >&2; exit 3',
    )
    expect(outcome.failure).toMatchObject({
      code: 'exit_nonzero',
      source: 'command',
      details: { exit_code: 3, stderr_tail: 'error: no rule to make api\nbye\n' },
    })
    expect(outcome.failure!.message).toMatch(/exited with code 3: error: no rule to make api$/)
    expect(file('stdout.log')).toBe('compiling\n')
    expect(JSON.parse(file('outcome.json'))).toMatchObject({ result: 'failure', failure: { code: 'exit_nonzero' } })
  })

  test.each([
    [126, /not be executed/],
    [127, /not found/],
    [139, /signal 11/],
  ])('code %i is explained', async (code, expected) => {
    const { outcome } = await workbench().run(`exit ${code}`)
    expect(outcome.failure!.message).toMatch(expected)
  })

  test('a script stops at its first failing command; bash also inside pipes', async () => {
    const bench = workbench()
    expect((await bench.run('false; echo unreached')).outcome.failure?.code).toBe('exit_nonzero')
    const piped = await bench.run({ shell: 'bash', script: 'false | cat', bindings: [] })
    expect(piped.outcome.failure?.code).toBe('exit_nonzero')
  })

  test('a redirection that cannot work here is explained', async () => {
    const { outcome } = await workbench().run('echo oops > /dev/stderr')
    expect(outcome.failure!.message).toContain('write to &1 or &2')
  })

  test('a signal from elsewhere is a crash', async () => {
    const { outcome } = await workbench().run('kill -SEGV $$')
    expect(outcome.failure).toMatchObject({ code: 'signaled', details: { signal: 'SIGSEGV' } })
    expect(outcome.process).toMatchObject({ signal: 'SIGSEGV' })
  })

  test('standard input is empty', async () => {
    const { outcome, file } = await workbench().run('cat; echo end')
    expect(outcome.failure).toBeUndefined()
    expect(file('stdout.log')).toBe('end\n')
  })
})

describe('out of memory', () => {
  test('a KILL while the kernel counted a kill is oom_killed, another KILL is not', async () => {
    const counter = join(workbench().cwd, 'memory.events')
    writeFileSync(counter, 'low 0\noom_kill 4\n')
    const bench = workbench({ oom: { path: counter, key: 'oom_kill' } })
    const plain = await bench.run('kill -KILL $$')
    expect(plain.outcome.failure?.code).toBe('signaled')
    const oom = await bench.run(`printf 'low 0\\noom_kill 5\\n' > ${counter}; kill -KILL $$`)
    expect(oom.outcome.failure).toMatchObject({ code: 'oom_killed', details: { oom_kills: 1 } })
  })
})

describe('refused by the system', () => {
  test('a missing program', async () => {
    const { outcome } = await workbench().run({ argv: ['no-such-program-here'] })
    expect(outcome.failure).toMatchObject({ code: 'config_missing' })
    expect(outcome.failure!.message).toContain('`no-such-program-here` was not found: it is not in PATH')
  })

  test('a missing program in a directory', async () => {
    const { outcome } = await workbench().run({ argv: ['./deploy.sh'] })
    expect(outcome.failure).toMatchObject({ code: 'config_missing' })
    expect(outcome.failure!.message).toContain('there is no such file')
  })

  test('a file that is not executable', async () => {
    const bench = workbench()
    writeFileSync(join(bench.cwd, 'deploy.sh'), 'echo hi')
    const { outcome } = await bench.run({ argv: ['./deploy.sh'] })
    expect(outcome.failure).toMatchObject({ code: 'config_invalid' })
    expect(outcome.failure!.message).toContain('chmod +x')
  })

  test('a working directory that is missing, or no directory', async () => {
    const bench = workbench()
    const missing = await bench.run('true', { place: { cwd: 'nowhere' } })
    expect(missing.outcome.failure).toMatchObject({ code: 'workspace_error', source: 'workspace' })
    expect(missing.outcome.failure!.message).toContain('nowhere does not exist')
    writeFileSync(join(bench.cwd, 'file'), '')
    const file = await bench.run('true', { place: { cwd: 'file' } })
    expect(file.outcome.failure!.message).toContain('is not a directory')
  })

  test('a cwd with an expression is relative to where the run was called from', async () => {
    const bench = workbench()
    mkdirSync(join(bench.cwd, 'api'))
    const { file } = await bench.run('pwd', { place: { cwd: '${{ task }}' }, inputs: { task: 'api' } })
    expect(file('stdout.log')).toBe(`${bench.cwd}/api\n`)
  })

  test('arguments larger than the system takes', async () => {
    const { outcome } = await workbench().run({
      argv: ['true', ...Array.from({ length: 40 }, () => 'x'.repeat(100_000))],
    })
    expect(outcome.failure).toMatchObject({ code: 'config_invalid' })
    expect(outcome.failure!.message).toContain('in files')
  })

  test('a run directory that cannot be written is said, not thrown', async () => {
    const bench = workbench()
    writeFileSync(join(bench.runDir, 'attempts'), 'in the way')
    const { done } = bench.start(attempt('true'))
    expect((await done).failure).toMatchObject({ code: 'store_unwritable' })
  })
})

describe('output', () => {
  test('a flood is capped in the log, announced once, and its end is kept', async () => {
    const { outcome, observed, file } = await workbench().run({ argv: [process.execPath, program('flood.mjs'), '200'] })
    expect(outcome.failure).toBeUndefined()
    expect(ofType(observed, 'log.capped')).toEqual([
      expect.objectContaining({ stream: 'stdout', limit_bytes: LIMITS.logBytes }),
    ])
    const log = file('stdout.log')
    expect(log.length).toBeGreaterThanOrEqual(LIMITS.logBytes)
    expect(log.length).toBeLessThan(LIMITS.logBytes + 1_000)
  }, 20_000)

  test('a failure after a flood shows the end', async () => {
    const { outcome } = await workbench().run(`"${process.execPath}" "${program('flood.mjs')}" 3; exit 1`)
    expect(outcome.failure!.details!['stdout_tail']).toMatch(/the last line\n$/)
  })

  test.each<[string, CommandLine | string, string]>([
    ['a script', 'claude -p "fix the login of Ann"; exit 3', '`claude` exited'],
    ['a script after assignments', 'A=1 B="x y" ./tool --prompt secret; exit 3', '`sh` exited'],
    ['a script that starts with something else', '[ "$HOME" = 1 ] || exit 3', '`sh` exited'],
    ['argv', { argv: ['sh', '-c', 'exit 3', 'the prompt'] }, '`sh` exited'],
  ])('a message names the program of %s and nothing it is told, the details all of it', async (_, line, begin) => {
    const { outcome } = await workbench().run(line)
    expect(outcome.failure!.message.startsWith(begin)).toBe(true)
    expect(outcome.failure!.message).not.toMatch(/Ann|prompt|secret|HOME/)
    expect(outcome.failure!.details!['command']).toMatch(/Ann|prompt|HOME/)
  })

  test('bytes that are no text and a line of 1 MiB end nothing', async () => {
    const { outcome, file } = await workbench().run(
      `head -c 100000 /dev/urandom; head -c 1048576 /dev/zero | tr '\\0' x; echo; exit 4`,
    )
    expect(outcome.failure).toMatchObject({ code: 'exit_nonzero' })
    expect(Buffer.byteLength(JSON.stringify(outcome.failure))).toBeLessThan(LIMITS.tailBytes)
    expect(file('stdout.log')).toContain('x'.repeat(1_048_576))
  })

  test('a step that prints nothing leaves no log', async () => {
    const { file } = await workbench().run({ argv: ['true'] })
    expect(() => file('stdout.log')).toThrow('ENOENT')
    expect(() => file('outcome.json')).toThrow('ENOENT')
    expect(JSON.parse(file('command.json'))).toMatchObject({ attempt_id: 'build@1.1', argv: ['true'] })
  })

  test('files are for the user alone', async () => {
    const bench = workbench()
    await bench.run('echo hi')
    const at = join(bench.runDir, 'attempts/build/1.1')
    expect(statSync(at).mode & 0o777).toBe(0o700)
    for (const name of ['stdout.log', 'command.json']) expect(statSync(join(at, name)).mode & 0o777).toBe(0o600)
  })

  test('a grandchild that holds the streams does not hold the attempt', async () => {
    const bench = workbench()
    const pidFile = join(bench.cwd, 'pid')
    const { outcome, file } = await bench.run({ argv: [program('holder.sh'), pidFile] })
    expect(outcome.failure).toBeUndefined()
    expect(file('stdout.log')).toBe('the parent is done\n')
    const pid = Number(readFileSync(pidFile, 'utf8'))
    expect(isAlive(pid)).toBe(true)
    await bench.effects.sweep()
    await until(() => !isAlive(pid))
  })
})
