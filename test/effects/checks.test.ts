// Checks without a command, and the record of all checks, through the effects as a host uses them.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { FailureReport } from '../../src/core/failure.ts'
import type { JsonObject } from '../../src/core/json.ts'
import type { Check, Rule } from '../../src/core/pipeline.ts'
import { attempt, check, maskOf, workbench, type Workbench } from './support.ts'

function write(root: string, files: { readonly [path: string]: string }): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

function committed(bench: Workbench, files: { readonly [path: string]: string } = { 'README.md': 'hello\n' }): void {
  const git = (...args: string[]): unknown =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], { cwd: bench.cwd })
  git('init', '-q')
  write(bench.cwd, files)
  git('add', '-A')
  git('commit', '-q', '-m', 'first')
}

const ruleCheck = (rule: Rule, more: Partial<Check> = {}): Check => ({
  name: 'rule',
  rule,
  level: 'L1',
  required: true,
  timeout_ms: 60_000,
  ...more,
})
const forbid = (forbidden: Partial<Extract<Rule, { forbidden: unknown }>['forbidden']>): Rule => ({
  forbidden: { paths: [], patterns: [], secrets: false, ...forbidden },
})

/** Runs a script as an attempt with one rule, then the rule as the core would ask for it. */
async function judged(
  bench: Workbench,
  script: string,
  rule: Rule,
  inputs: JsonObject = {},
): Promise<FailureReport | undefined> {
  const { outcome } = await bench.run(script, { node: { checks: [ruleCheck(rule)] }, attempt: { attempt: 1 } })
  expect(outcome.failure).toBeUndefined()
  const { run: _, ...asked } = check('')
  return (await bench.start({ ...asked, rule, outputs: outcome.outputs ?? {}, inputs }).done).failure
}

const verification = (bench: Workbench): JsonObject =>
  JSON.parse(readFileSync(join(bench.runDir, 'attempts/build/1.1/verification.json'), 'utf8')) as JsonObject

test('required files: there, not empty, not a directory, not behind a link that leads out', async () => {
  const bench = workbench()
  const rule = (...required_files: string[]): Rule => ({ required_files })
  const script =
    'mkdir -p out/deep; echo x > out/a.md; : > out/empty.md; echo y > out/deep/b.txt; ln -s /etc/passwd link; ln -s out/a.md inner'
  expect(await judged(bench, script, rule('out/a.md', 'out/**/*.txt', 'inner'))).toBeUndefined()
  expect(
    await judged(bench, 'true', rule('out/a.md', 'nope.md', 'out/empty.md', 'out', 'link', '*.xyz')),
  ).toMatchObject({
    code: 'check_failed',
    source: 'check',
    message: 'required files: nope.md is missing; out/empty.md is empty; out is a directory; and 2 more',
    details: { files: expect.arrayContaining(['link leads out of the working directory', '*.xyz matches no file']) },
  })
})

test('expressions in globs are filled in', async () => {
  const bench = workbench()
  const rule: Rule = { required_files: ['out/${{ params.task }}.md'] }
  expect(await judged(bench, 'mkdir out; echo x > out/api.md', rule, { 'params.task': 'api' })).toBeUndefined()
  expect(await judged(bench, 'true', rule, { 'params.task': 'web' })).toMatchObject({
    message: 'required files: out/web.md is missing',
  })
})

test('the scope of what an attempt changed, status files aside', async () => {
  const bench = workbench()
  committed(bench)
  const scope: Rule = { scope: ['src/**'] }
  expect(
    await judged(
      bench,
      'mkdir -p src/.x .ai; echo a > src/.x/a; echo \'{"status":"success"}\' > .ai/status.json',
      scope,
    ),
  ).toBeUndefined()
  const failure = await judged(
    bench,
    'echo b > src/b; echo more >> README.md; git commit -qam x --author "t <t@t>" 2>/dev/null || true; echo x > new.txt',
    scope,
  )
  expect(failure).toMatchObject({
    code: 'check_failed',
    message: 'outside of the scope (src/**): new.txt was created; README.md was changed',
    details: { files: ['new.txt', 'README.md'] },
  })
})

test('what was there before the attempt is not held against it', async () => {
  const bench = workbench()
  committed(bench)
  write(bench.cwd, { 'mine.txt': 'uncommitted\n', 'README.md': 'LATER\n' })
  expect(await judged(bench, 'mkdir -p src; echo a > src/a', { scope: ['src/**'] })).toBeUndefined()
  expect(
    await judged(bench, 'echo fine >> README.md', forbid({ patterns: ['LATER'], paths: ['mine.txt'] })),
  ).toBeUndefined()
})

test('forbidden paths, also ignored ones, patterns and secrets, which are never told', async () => {
  const bench = workbench()
  committed(bench, { '.gitignore': '.env\n', 'a.txt': 'x\n' })
  expect(await judged(bench, 'echo A=1 > .env', forbid({ paths: ['**/.env*'] }))).toMatchObject({
    message: 'forbidden: .env was changed',
  })
  const key = ['AKIA', 'ABCDEFGH234567QR'].join('')
  const failure = await judged(
    bench,
    `printf 'ok\\nkey = ${key}\\n' >> a.txt; echo 'eval(x)' > b.js`,
    forbid({ patterns: ['eval\\('], secrets: true }),
  )
  expect(failure).toMatchObject({
    message: 'forbidden: a.txt:3 holds what looks like a secret (AWS access key id); b.js:1 matches eval\\(',
    details: { files: ['a.txt', 'b.js'] },
  })
  expect(verification(bench)['checks']).toContainEqual(
    expect.objectContaining({
      passed: false,
      exit_code: null,
      diagnostics: [
        { file: 'a.txt', line: 3, severity: 'error', message: 'holds what looks like a secret (AWS access key id)' },
        { file: 'b.js', line: 1, severity: 'error', message: 'matches eval\\(' },
      ],
    }),
  )
  expect(JSON.stringify([failure, verification(bench)])).not.toContain(key)
  const patch = readFileSync(join(bench.runDir, 'attempts/build/1.1/diff.patch'), 'utf8')
  expect(patch).toContain('+key = ***\n')
})

test('what cannot be known fails the check, and says why', async () => {
  const bench = workbench()
  const { run: _, ...asked } = check('')
  const { failure } = await bench.start({ ...asked, rule: { scope: ['**'] } }).done
  expect(failure).toMatchObject({
    code: 'workspace_error',
    message: 'what the attempt changed is not known: it left no changes.json',
  })
})

test('the schema of all outputs', async () => {
  const bench = workbench()
  const rule: Rule = { outputs_schema: { type: 'object', properties: { n: { type: 'string' } }, required: ['n'] } }
  expect(await judged(bench, 'echo n=1 >> "$SPANWRIGHT_OUTPUTS"', rule)).toBeUndefined()
  expect(await judged(workbench(), 'true', rule)).toMatchObject({
    code: 'invalid_output',
    message: expect.stringMatching(/^the outputs do not fit the schema: .* at n$/),
  })
})

describe.each(['git', 'listing'])('several attempts of a visit (%s)', (kind) => {
  const failed = {
    code: 'check_failed',
    class: 'deterministic',
    message: 'm',
    source: 'check',
    signature: 's',
  } as const

  /** Runs the scripts as attempts of one visit; the messages of the check after each. */
  async function judgedInTurn(rule: Rule, scripts: readonly string[]): Promise<(string | undefined)[]> {
    const bench = workbench()
    if (kind === 'git') committed(bench, { 'old.txt': 'old\nLATER from before\n' })
    else write(bench.cwd, { 'old.txt': 'old\nLATER from before\n' })
    const messages: (string | undefined)[] = []
    for (const [index, script] of scripts.entries()) {
      const number = index + 1
      const prior = scripts.slice(0, index).map((_, at) => ({ attempt_id: `build@1.${at + 1}`, failure: failed }))
      await bench.run(script, {
        node: { checks: [ruleCheck(rule)] },
        attempt: { attempt: number, id: `build@1.${number}`, max: 9, prior },
      })
      const { run: _, ...asked } = check('', { attempt_id: `build@1.${number}`, id: `build@1.${number}#check:0` })
      messages.push((await bench.start({ ...asked, rule }).done).failure?.message)
    }
    return messages
  }

  test('a file outside the scope stays wrong until it is taken back', async () => {
    const scripts = [
      'echo x > stray; cp old.txt ../kept; echo more >> old.txt',
      'mkdir src; echo ok > src/a',
      'rm stray',
      'cp ../kept old.txt',
    ]
    expect(await judgedInTurn({ scope: ['src/**'] }, scripts)).toEqual([
      'outside of the scope (src/**): stray was created; old.txt was changed',
      'outside of the scope (src/**): stray was created; old.txt was changed',
      'outside of the scope (src/**): old.txt was changed',
      undefined,
    ])
  })

  test('forbidden text stays wrong until it is taken back', async () => {
    const scripts = [
      'printf "a\\nLATER mine\\n" > new.txt',
      'echo more >> new.txt',
      'grep -v LATER new.txt > n; mv n new.txt',
    ]
    expect(await judgedInTurn(forbid({ patterns: ['LATER'] }), scripts)).toEqual([
      'forbidden: new.txt:2 matches LATER',
      'forbidden: new.txt:2 matches LATER',
      undefined,
    ])
  })
})

test('links that an attempt made are not followed', async () => {
  const bench = workbench()
  committed(bench)
  symlinkSync('/etc', join(bench.cwd, 'etc'))
  expect(await judged(bench, 'ln -s /etc/passwd p', forbid({ patterns: ['root:'] }))).toBeUndefined()
})

test('verification.json tells every check, with diagnostics, and those that did not run', async () => {
  const bench = workbench({ mask: maskOf('hunter2-secret') })
  const command = (name: string, level: Check['level'], required = true): Check => ({
    name,
    run: { argv: ['true'] },
    level,
    required,
    timeout_ms: 1_000,
  })
  const checks = [command('types', 'L1'), command('lint', 'L0', false), command('e2e', 'L2'), command('more', 'L1')]
  await bench.run('true', { node: { checks }, attempt: { attempt: 1 } })
  expect(verification(bench)).toMatchObject({
    checks: [],
    not_run: [{ name: 'types' }, { name: 'lint' }, { name: 'e2e' }, { name: 'more' }],
  })
  const ask = (index: number, script: string) =>
    bench.start(
      check(script, {
        id: `build@1.1#check:${index}`,
        name: checks[index]!.name,
        level: checks[index]!.level,
        required: checks[index]!.required,
      }),
    ).done
  await ask(1, 'exit 0')
  await ask(0, 'echo "a.ts(3,5): error TS2322: no hunter2-secret"; echo done; exit 2')
  const record = verification(bench)
  expect(record).toMatchObject({
    checks: [
      {
        id: 'build@1.1#check:1',
        name: 'lint',
        level: 'L0',
        required: false,
        passed: true,
        exit_code: 0,
        diagnostics: [],
        tail: '',
      },
      {
        id: 'build@1.1#check:0',
        name: 'types',
        level: 'L1',
        required: true,
        passed: false,
        exit_code: 2,
        duration_ms: expect.any(Number),
        tail: 'a.ts(3,5): error TS2322: no ***\ndone\n',
        diagnostics: [{ file: 'a.ts', line: 3, column: 5, severity: 'error', code: 'TS2322', message: 'no ***' }],
        failure: { code: 'exit_nonzero' },
      },
    ],
    not_run: [
      { id: 'build@1.1#check:2', name: 'e2e', level: 'L2' },
      { id: 'build@1.1#check:3', name: 'more', level: 'L1' },
    ],
    skipped_levels: ['L2'],
  })
})

test('a signal, and what was printed before it', async () => {
  const bench = workbench()
  await bench.start(check('echo before; kill -9 $$')).done
  expect(verification(bench)['checks']).toEqual([
    expect.objectContaining({ exit_code: null, signal: 'SIGKILL', tail: 'before\n' }),
  ])
})

test('an attempt that is stopped while its files are looked at never starts', async () => {
  const bench = workbench()
  committed(bench)
  const started = bench.start(attempt('touch ran', { node: { checks: [ruleCheck({ scope: ['**'] })] } }))
  started.running.stop({ code: 'canceled', message: 'canceled', now: false })
  expect((await started.done).failure).toMatchObject({ code: 'canceled' })
  expect(existsSync(join(bench.cwd, 'ran'))).toBe(false)
})
