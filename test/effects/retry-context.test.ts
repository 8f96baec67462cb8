// What an attempt is told about the ones before it: whole runs with real processes, and the bounds of the text.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Entry } from '../../src/core/events.ts'
import type { Failure } from '../../src/core/failure.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { retryContext } from '../../src/effects/retry-context.ts'
import { agent, pipeline, run, type NodeDefinition, type PipelineOptions } from '../../src/pipeline/builder.ts'
import { celExpressions } from '../../src/pipeline/expressions.ts'
import { parseDefinition } from '../../src/pipeline/load.ts'
import { readParams } from '../../src/pipeline/params.ts'
import { createRunPipeline } from '../../src/runner/run-pipeline.ts'
import { TAKEOVER } from '../runner/compose.ts'
import { childEnvironment, temporaryDirectory } from '../support/cli.ts'
import { attempt } from './support.ts'

const runPipeline = createRunPipeline({
  parse: parseDefinition,
  readParams,
  expressions: celExpressions,
  takeover: TAKEOVER,
  version: '0.0.0',
})

interface Told {
  readonly result: string
  readonly entries: readonly Entry[]
  /** retry-context.md of an attempt of `work`. */
  text(attempt: number, visit?: number): string
}

/** Runs a node `work` in a git repository of its own. */
async function told(node: NodeDefinition, more: Partial<PipelineOptions> = {}): Promise<Told> {
  const cwd = temporaryDirectory()
  const git = (...args: string[]): unknown =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], { cwd })
  git('init', '-q')
  writeFileSync(join(cwd, 'README.md'), 'hello\n')
  git('add', '-A')
  git('commit', '-q', '-m', 'first')
  const store = join(temporaryDirectory(), 'store')
  const entries: Entry[] = []
  const definition = pipeline({ name: 'p', nodes: [node], ...more })
  const { result } = await runPipeline(definition, {
    cwd,
    store,
    env: childEnvironment(),
    onEntries: (found) => void entries.push(...found),
  })
  const [runId = ''] = readdirSync(join(store, 'runs'))
  return {
    result,
    entries,
    text: (number, visit = 1) =>
      readFileSync(join(store, 'runs', runId, 'attempts/work', `${visit}.${number}`, 'retry-context.md'), 'utf8'),
  }
}

test('three attempts: each is told what the one before it taught', async () => {
  const script = `
    cp "$SPANWRIGHT_RETRY_CONTEXT" "seen-$SPANWRIGHT_ATTEMPT" 2>/dev/null || true
    case $SPANWRIGHT_ATTEMPT in
      1) echo "compiling nothing" >&2; exit 7;;
      2) mkdir -p src; echo "const x: number = 'a'" > src/a.ts;;
      3) echo "const x: number = 1" > src/a.ts; echo out > stray.txt;;
      4) rm stray.txt; echo ok >> src/a.ts;;
    esac`
  const checks = [
    {
      name: 'types',
      level: 'L0',
      run: 'grep -q "\'a\'" src/a.ts && { seq 1 3000; echo "src/a.ts(1,7): error TS2322: Type \'string\' is not assignable"; exit 2; } || true',
    },
    { name: 'style', level: 'L0', required: false, run: 'echo "src/a.ts:1:1: warning: no semicolon"; exit 1' },
    { name: 'in scope', level: 'L1', scope: ['src/**', 'seen-*'] },
    { name: 'e2e', level: 'L2', run: 'true' },
  ] as const
  const { result, entries, text } = await told(
    run('work', { run: script, retry: { maxAttempts: 4, initial: '1ms' }, checks }),
    {
      budget: { time: '1h', attempts: 50 },
    },
  )
  expect(result).toBe('success')

  expect(text(2)).toMatch(
    /^Retry attempt 2\/4 for work\nPrevious attempt: work@1\.1\nIt ended with exit_nonzero: .*compiling nothing/,
  )
  expect(text(2)).toMatch(/Left: 2 more attempts after this one, .*\d+[ms]/)
  expect(text(2)).toContain('Exit code: 7')
  expect(text(2)).toContain('stderr (its end):\n```text\ncompiling nothing\n```')
  expect(text(2)).toContain('Filesystem changes observed: none')
  expect(text(2)).not.toContain('Earlier attempts')

  expect(text(3)).toContain('Previous attempt: work@1.2\nIt ended with check_failed: ')
  expect(text(3)).toContain('Required check failures (must fix): types')
  expect(text(3)).toContain('--- Check: types\ncommand=grep -q "\'a\'" src/a.ts && { seq 1 3000;')
  expect(text(3)).toContain("\nexit_code=2\nproblems:\nsrc/a.ts:1:7: error TS2322: Type 'string' is not assignable\n")
  expect(text(3)).toMatch(/\n2999\n3000\nsrc\/a\.ts/) // the tail, not the head
  expect(text(3)).not.toMatch(/\n1\n2\n3\n/)
  expect(text(3)).toContain('Checks that did not run after it: style, in scope, e2e')
  expect(text(3)).toMatch(/change_count=2 created=2 modified=0 deleted=0\nCreated:\n {2}seen-2\n {2}src\/a\.ts/)
  expect(text(3)).toMatch(/Earlier attempts:\n\n- work@1\.1: exit_nonzero: .*compiling nothing/)
  expect(text(3)).not.toContain('compiling nothing\n```')

  expect(text(4)).toContain('Required check failures (must fix): in scope')
  expect(text(4)).toContain('outside of the scope (src/**, seen-*): stray.txt was created')
  expect(text(4)).toContain('Optional check failures: style')
  expect(text(4)).toContain('Left: no attempt after this one')
  expect(text(4)).toMatch(
    /- work@1\.1: exit_nonzero: .*\n\n- work@1\.2: check_failed: .*\(checks failed: types; 2 files changed\)/,
  )

  const assembled = entries.flatMap(({ event }) => (event.type === 'retry_context.assembled' ? [event] : []))
  expect(assembled.map((event) => event.text)).toEqual([text(2), text(3), text(4)])
  expect(assembled.map(({ bytes }) => bytes)).toEqual([2, 3, 4].map((number) => Buffer.byteLength(text(number))))
})

test('the same failure again is counted, and told once', async () => {
  const { text } = await told(
    run('work', { run: 'echo "cannot find the thing" >&2; exit 3', retry: { maxAttempts: 4, initial: '1ms' } }),
    {
      breaker: { limit: 50 },
    },
  )
  expect(text(2)).not.toContain('same failure')
  expect(text(3)).toContain('This is the same failure for the 2nd time in a row.')
  expect(text(4)).toContain('This is the same failure for the 3rd time in a row.')
  expect(text(4)).toMatch(/- work@1\.1 to work@1\.2 \(2 times\): exit_nonzero: /)
  expect(text(4).match(/cannot find the thing/g)!.length).toBeLessThanOrEqual(3)
})

test('how it was ended: a time limit, a signal', async () => {
  const script = 'case $SPANWRIGHT_ATTEMPT in 1) echo working; sleep 60;; 2) kill -9 $$;; esac'
  const { text } = await told(
    run('work', { run: script, timeout: '300ms', grace: '100ms', retry: { maxAttempts: 3, initial: '1ms' } }),
  )
  expect(text(2)).toContain('Terminated: it ran into its time limit')
  expect(text(2)).toContain('stdout (its end):\n```text\nworking\n```')
  expect(text(3)).toContain('Terminated: signal SIGKILL')
})

test('an agent reads it in its prompt, with what the one before it said', async () => {
  const command = [
    'sh',
    '-c',
    'cat > "prompt-$SPANWRIGHT_ATTEMPT"; echo "I am done with try $SPANWRIGHT_ATTEMPT"; echo work >> "done-$SPANWRIGHT_ATTEMPT"',
  ]
  const node = agent('work', {
    use: 'command',
    command,
    prompt: 'Mend it.',
    retry: { maxAttempts: 3, initial: '1ms' },
    checks: [
      { name: 'files', files: ['done-3'] },
      { name: 'asked', run: 'cp prompt-$SPANWRIGHT_ATTEMPT /dev/null 2>/dev/null || true' },
    ],
  })
  const { result, text } = await told(node)
  expect(result).toBe('success')
  expect(text(2)).toContain('What it said last:\n```text\nI am done with try 1\n```')
  expect(text(2)).toContain('It was done by: command')
  expect(text(2)).toContain('required files: done-3 is missing')
  expect(text(2)).toMatch(/Created:\n {2}done-1\n {2}prompt-1/)
  expect(text(3)).toContain('I am done with try 2')
  expect(text(3)).not.toContain('I am done with try 1')
  expect(text(3)).toContain('done-2')
})

describe('the text by itself', () => {
  const failure = (message: string, details: JsonObject = {}, signature = message): Failure => ({
    code: 'exit_nonzero',
    class: 'deterministic',
    message,
    source: 'command',
    signature,
    details,
  })
  const asked = (prior: readonly Failure[], more = {}) =>
    attempt('true', {
      attempt: {
        attempt: prior.length + 1,
        prior: prior.map((reason, index) => ({ attempt_id: `build@1.${index + 1}`, failure: reason })),
        ...more,
      },
    })

  test('nothing on a first attempt; from the failure alone when the files are gone', () => {
    const runDir = temporaryDirectory()
    expect(retryContext(asked([]), runDir)).toBeUndefined()
    const text = retryContext(
      asked([failure('it broke', { exit_code: 3, stderr_tail: 'why it ```broke' })], {
        left: { usd: 0.5, tokens: 100, time_ms: 90_000, attempts: 2 },
        max: 9,
      }),
      runDir,
    )
    expect(text).toContain("Exit code: 3\n\nstderr (its end):\n```text\nwhy it '''broke\n```")
    expect(text).toContain('Left: 2 more attempts after this one, 1m 30s of time, $0.5000, 100 tokens')
  })

  test('after an attempt that was lost, what the one before it taught', () => {
    const lost: Failure = { ...failure('the process is gone'), code: 'worker_lost', class: 'crash' }
    const text = retryContext(
      asked([failure('it broke', { exit_code: 3, stderr_tail: 'why' }), lost]),
      temporaryDirectory(),
    )!
    expect(text).toContain('It ended with worker_lost: the process is gone')
    expect(text).toMatch(/Terminated: .* went away\n\nWhat was wrong with build@1\.1, before that:\n\nExit code: 3/)
    expect(text).toContain('```text\nwhy\n```')
  })

  test('tools that failed and the last words of an agent, each once', () => {
    const runDir = temporaryDirectory()
    const directory = join(runDir, 'attempts/build/1.1')
    mkdirSync(directory, { recursive: true })
    const call = (ok: boolean, command: string) => ({
      id: command,
      name: 'Bash',
      input: { command },
      ok,
      exit_code: ok ? 0 : 1,
      output_tail: `said by ${command}`,
    })
    const record = {
      cli: 'claude',
      model: 'm1',
      turns: 3,
      final_text: 'I could not do it',
      tool_calls: [call(true, 'ls'), call(false, 'make'), call(false, 'make'), call(false, 'npm test')],
    }
    writeFileSync(join(directory, 'agent.json'), JSON.stringify(record))
    writeFileSync(join(directory, 'stdout.log'), '{"type":"protocol"}\n')
    const text = retryContext(asked([failure('it gave up')]), runDir)!
    expect(text).toContain('It was done by: claude, m1, 3 turns')
    expect(text).toContain('What it said last:\n```text\nI could not do it\n```')
    expect(text).toContain(
      '- Bash {"command":"make"} exit_code=1: said by make\n- Bash {"command":"npm test"} exit_code=1: said by npm test',
    )
    expect(text).not.toContain('said by ls')
    expect(text).not.toContain('protocol')
  })

  test('bounded: the newest attempt and its first failed check stay', () => {
    const runDir = temporaryDirectory()
    const prior = Array.from({ length: 400 }, (_, i) => failure(`number ${i} ${'é'.repeat(400)}`))
    const directory = join(runDir, 'attempts/build/1.400')
    mkdirSync(directory, { recursive: true })
    const checks = Array.from({ length: 30 }, (_, i) => ({
      id: `c${i}`,
      name: `check-${i}`,
      level: 'L1',
      required: true,
      passed: false,
      exit_code: 1,
      duration_ms: 1,
      diagnostics: Array.from({ length: 100 }, (__, line) => ({
        file: 'a.ts',
        line,
        severity: 'error',
        message: 'm'.repeat(400),
      })),
      tail: `${i} `.repeat(4_000),
    }))
    writeFileSync(join(directory, 'verification.json'), JSON.stringify({ checks, not_run: [] }))
    const text = retryContext(asked(prior), runDir)!
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LIMITS.retryContextBytes)
    expect(text).toContain('Previous attempt: build@1.400')
    expect(text).toContain('--- Check: check-0\nexit_code=1')
    expect(text).toContain('a.ts:19: error: ')
    expect(text).toContain('(and 80 more)')
    expect(text).toContain('(There was more to tell; it was left out here.)')
  })
})
