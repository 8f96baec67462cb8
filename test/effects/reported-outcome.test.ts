// What a step may say beside its exit: outcome file, outputs file, status locations, the last fenced block.
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LIMITS } from '../../src/core/limits.ts'
import { attempt, maskOf, ofType, until, workbench, type Finished, type Workbench } from './support.ts'

/** A script that writes a text to a file, quoted so that the shell leaves it alone. */
const writes = (file: string, text: string): string => `cat > "${file}" <<'END_OF_TEXT'\n${text}\nEND_OF_TEXT\n`
const prints = (text: string): string => `cat <<'END_OF_TEXT'\n${text}\nEND_OF_TEXT\n`
const says = (value: unknown): string => writes('$SPANWRIGHT_OUTCOME', JSON.stringify(value))
const status = (value: unknown, file = '.ai/status.json'): string =>
  `mkdir -p "$(dirname ${file})"\n${writes(file, JSON.stringify(value))}`
const decision = ['approve', 'rework']

async function failureOf(script: string, bench: Workbench = workbench()): Promise<string> {
  const { outcome } = await bench.run(script)
  expect(outcome.failure).toMatchObject({ code: 'invalid_output', source: 'command' })
  return outcome.failure!.message
}

describe('outcome file', () => {
  test('says everything there is to say, and is kept as it was understood', async () => {
    const { outcome, observed, file } = await workbench().run(
      says({
        result: 'success',
        label: 'approve',
        outputs: { version: '1.2', files: [1, 2] },
        notes: 'fine',
        next: 'ship',
        usage: {
          input_tokens: 100,
          cache_read_tokens: 60,
          cache_creation_tokens: 10,
          output_tokens: 7,
          model: 'm',
          cost_usd: 0.5,
          turns: 3,
        },
      }),
    )
    expect(outcome).toMatchObject({
      label: 'approve',
      outputs: { version: '1.2', files: [1, 2] },
      notes: 'fine',
      next: 'ship',
      usage: { input: 30, cache_read: 60, cache_write: 10, output: 7, model: 'm', turns: 3 },
      cost: { usd: 0.5, source: 'reported' },
    })
    expect(outcome.failure).toBeUndefined()
    expect(observed).toEqual([])
    expect(JSON.parse(file('outcome.json'))).toMatchObject({ result: 'success', label: 'approve' })
  })

  test('tokens of a model with a price cost what it costs, unless a cost is told', async () => {
    const usage = { model: 'mine', input_tokens: 1_000, output_tokens: 100 }
    const bench = workbench({ prices: { mine: { input: 1, output: 10 } } })
    const costOf = async (told: object) => (await bench.run(says({ usage: told }))).outcome.cost
    expect(await costOf(usage)).toEqual({ usd: 0.002, source: 'computed' })
    expect(await costOf({ ...usage, cost_usd: 7 })).toEqual({ usd: 7, source: 'reported' })
    expect(await costOf({ ...usage, model: 'nobody-knows' })).toEqual({ usd: null, source: 'unknown' })
  })

  test('without a result it adds to the exit', async () => {
    const { outcome } = await workbench().run(says({ label: 'rework', outputs: { a: 1 } }))
    expect(outcome).toMatchObject({ label: 'rework', outputs: { a: 1 } })
  })

  test.each([
    ['partial', { partial: true }],
    ['partial-success', { partial: true }],
    ['skip', { skipped: true }],
    ['OK', {}],
  ])('%s', async (result, expected) => {
    const { outcome } = await workbench().run(says({ status: result }))
    expect(outcome.failure).toBeUndefined()
    expect(outcome).toMatchObject(expected)
  })

  test.each([
    [{ status: 'fail', failure: { message: 'the API is down' } }, 'agent_failed', 'the API is down'],
    [{ result: 'failure', failure: { code: 'rate_limited', message: 'slow down' } }, 'rate_limited', 'slow down'],
    [{ result: 'failure', failure: { code: 'RATE-LIMITED' }, notes: 'see the log' }, 'rate_limited', 'see the log'],
    [{ status: 'error', failure_reason: 'segfault in plugin' }, 'agent_crashed', 'segfault in plugin'],
    [{ status: 'timeout', failure: 'the build server did not answer' }, 'timed_out', 'the build server did not answer'],
    [{ failure: { message: 'no result, but a reason' } }, 'agent_failed', 'no result, but a reason'],
    [{ status: 'fail', failure: { code: 'canceled', message: 'not mine to say' } }, 'agent_failed', 'not mine to say'],
    [
      { status: 'fail' },
      'agent_failed',
      'it says failure and gives no reason (expected failure.message or failure_reason)',
    ],
  ])('exit 0 and %j is that failure', async (value, code, message) => {
    const { outcome } = await workbench().run(says(value))
    expect(outcome.failure).toMatchObject({ code, message })
  })

  test('a reason beside a failing exit is the reason, with the exit as code', async () => {
    const { outcome } = await workbench().run(
      `${says({ status: 'fail', failure: { message: 'two tests fail' } })}exit 2`,
    )
    expect(outcome.failure).toMatchObject({
      code: 'exit_nonzero',
      message: 'two tests fail',
      details: { exit_code: 2 },
    })
  })

  test('a success beside a failing exit: the exit counts, its label does not, and the record says so', async () => {
    const { outcome, observed } = await workbench().run(
      `${says({ status: 'success', label: 'approve', outputs: { a: 1 } })}echo broken >&2; exit 2`,
    )
    expect(outcome.failure).toMatchObject({ code: 'exit_nonzero', details: { exit_code: 2 } })
    expect(outcome.failure!.message).toMatch(
      /broken; outcome file .*outcome\.json claims success, but exit code 2 counts$/,
    )
    expect(outcome.label).toBeUndefined()
    expect(ofType(observed, 'outcome.conflict')).toEqual([
      expect.objectContaining({
        attempt_id: 'build@1.1',
        reported: 'success',
        actual: 'exit_nonzero',
        message: expect.stringContaining('expected exit code 0'),
      }),
    ])
  })

  test('a timeout beats any file; what was spent still counts', async () => {
    const { outcome } = await workbench().run(`${says({ status: 'success', usage: { input_tokens: 5 } })}sleep 60`, {
      node: { timeout_ms: 300 },
    })
    expect(outcome.failure?.code).toBe('timed_out')
    expect(outcome).toMatchObject({ usage: { input: 5 }, cost: { usd: null, source: 'unknown' } })
  })
})

describe('malformed or contradictory files fail with file, fault and expectation', () => {
  test.each([
    [
      '{"status": "success",',
      /outcome file .*outcome\.json is not valid JSON: .*; its text begins `\{"status": "success",`; expected an object/,
    ],
    ['', /is not valid JSON: it is empty; expected an object/],
    ['[1, 2]', /outcome\.json is an array \(`\[1, 2\]`\); expected an object/],
    ['{"status": "great"}', /has status "great"; expected one of success, ok, partial/],
    [
      '{"status": "success", "outcome": "fail"}',
      /contradicts itself: status says success, outcome says failure; expected one of them/,
    ],
    [
      '{"status": "success", "failure_reason": "it broke"}',
      /contradicts itself: it says success and also gives failure_reason "it broke"/,
    ],
    ['{"status": "success", "outputs": [1]}', /has outputs that are an array; expected an object/],
    ['{"status": "success", "label": 3}', /has a label that is a number; expected a string/],
    [
      '{"status": "success", "usage": {"input_tokens": -1}}',
      /has usage\.input_tokens -1; expected a number that is not negative/,
    ],
    ['{"status": "success", "usage": {"cost_usd": 1e300}}', /has usage\.cost_usd 1e\+300; expected a number that/],
    [
      `{"status": "success", "usage": {"model": "${'m'.repeat(300)}"}}`,
      /usage\.model "m+…; expected a string of at most/,
    ],
    [`{"status": "success", "label": "${'l'.repeat(300)}"}`, /has a label of 300 characters; expected at most 200/],
    ['{"status": {"__proto__": 1}}', /has status \{.*\}; expected one of/],
  ])('%s', async (text, expected) => {
    const { outcome, file } = await workbench().run(writes('$SPANWRIGHT_OUTCOME', text))
    expect(outcome.failure).toMatchObject({ code: 'invalid_output' })
    expect(outcome.failure!.message).toMatch(expected)
    expect(outcome.failure!.details!['file']).toContain('outcome.json')
    expect(JSON.parse(file('outcome.json'))).toMatchObject({ result: 'failure', failure: { code: 'invalid_output' } })
  })

  test('two files that disagree', async () => {
    expect(
      await failureOf(`${says({ status: 'success' })}${status({ status: 'fail', failure_reason: 'tests fail' })}`),
    ).toMatch(/^\.ai\/status\.json says failure \(tests fail\), but outcome file .* says success; expected one status/)
  })

  test('a failing exit keeps its reason, with the fault beside it', async () => {
    const { outcome } = await workbench().run(`${writes('$SPANWRIGHT_OUTCOME', '{')}exit 9`)
    expect(outcome.failure).toMatchObject({ code: 'exit_nonzero', details: { exit_code: 9, text: '{\n' } })
    expect(outcome.failure!.message).toMatch(/exited with code 9; besides, outcome file .* is not valid JSON/)
  })

  test('links, directories, FIFOs and files that are too large are not read', async () => {
    const bench = workbench()
    writeFileSync(join(bench.cwd, 'secret.json'), '{"status": "success"}')
    expect(await failureOf(`ln -s "$PWD/secret.json" "$SPANWRIGHT_OUTCOME"`, bench)).toMatch(
      /is a symbolic link; expected a regular file/,
    )
    expect(await failureOf('mkdir "$SPANWRIGHT_OUTCOME"')).toMatch(/is not a regular file/)
    expect(await failureOf('mkfifo "$SPANWRIGHT_OUTCOME"')).toMatch(/is not a regular file/)
    expect(await failureOf(`head -c ${LIMITS.outcomeFileBytes + 1} /dev/zero > "$SPANWRIGHT_OUTCOME"`)).toMatch(
      /expected at most 1048576/,
    )
  })
})

describe('status locations', () => {
  test.each(['.ai/runs/$SPANWRIGHT_RUN_ID/status.json', '.ai/status.json', 'status.json'])(
    '%s alone is enough',
    async (file) => {
      const bench = workbench()
      const { outcome, observed } = await bench.run(
        status({ outcome: 'ok', preferred_next_label: 'approve', context_updates: { n: 1 } }, file),
      )
      expect(outcome).toMatchObject({ label: 'approve', outputs: { n: 1 } })
      expect(outcome.failure).toBeUndefined()
      expect(ofType(observed, 'outcome.normalized')).toEqual([
        expect.objectContaining({
          source: file.replace('$SPANWRIGHT_RUN_ID', bench.runId),
          result: 'success',
          label: 'approve',
        }),
      ])
    },
  )

  test('they count in order, after the outcome file', async () => {
    const both =
      status({ status: 'ok', preferred_label: 'second' }) +
      status({ status: 'ok', preferred_label: 'third' }, 'status.json')
    expect((await workbench().run(both)).outcome.label).toBe('second')
    const { outcome, observed } = await workbench().run(both + says({ status: 'ok', label: 'first' }))
    expect(outcome.label).toBe('first')
    expect(ofType(observed, 'outcome.normalized')).toEqual([])
  })

  test('a file from before the attempt does not count; a changed one does', async () => {
    const bench = workbench()
    writeFileSync(join(bench.cwd, 'status.json'), '{"status": "fail", "failure_reason": "old news"}')
    expect((await bench.run('true')).outcome.failure).toBeUndefined()
    expect((await bench.run('touch status.json')).outcome.failure).toMatchObject({ message: 'old news' })
  })

  test('JSON that speaks of no status, or is no object, is some other file', async () => {
    for (const other of ['{"health": "green"}', '[1]', '"x"']) {
      const { outcome, observed } = await workbench().run(writes('status.json', other))
      expect(outcome.failure).toBeUndefined()
      expect(observed).toEqual([])
    }
  })

  test('a malformed one is a fault', async () => {
    expect(await failureOf(writes('status.json', '{"status": "ok" "x"}'))).toMatch(/^status\.json is not valid JSON/)
  })

  test('links are left alone with a warning', async () => {
    const bench = workbench()
    mkdirSync(join(bench.cwd, 'real'))
    writeFileSync(join(bench.cwd, 'real/status.json'), '{"status": "fail"}')
    const linked = await bench.run('ln -s real/status.json status.json')
    expect(linked.outcome.failure).toBeUndefined()
    expect(ofType(linked.observed, 'warning.raised')).toMatchObject([
      { code: 'status_file_ignored', message: expect.stringContaining('symbolic link') },
    ])
    symlinkSync('real', join(bench.cwd, '.ai'))
    const behind = await bench.run('echo >> real/status.json')
    expect(behind.outcome.failure).toBeUndefined()
    expect(ofType(behind.observed, 'warning.raised')).toMatchObject([
      { message: expect.stringContaining('lies behind the link .ai') },
    ])
  })

  test('when attempts overlapped in a directory, it is left alone with a warning', async () => {
    const bench = workbench()
    const wait = 'while [ ! -e go ]; do sleep 0.01; done'
    const writer = bench.start(attempt(`${status({ status: 'fail' })}touch written; ${wait}`, { place: { node: 'a' } }))
    const other = bench.start(attempt(wait, { place: { node: 'b' } }))
    const third = bench.start(attempt(wait, { place: { node: 'c', cwd: '.ai' } }))
    await until(() => existsSync(join(bench.cwd, 'written')))
    writeFileSync(join(bench.cwd, 'go'), '')
    writeFileSync(join(bench.cwd, '.ai/go'), '')
    expect((await writer.done).failure).toBeUndefined()
    expect(ofType(writer.observed, 'warning.raised')).toMatchObject([
      {
        code: 'status_file_ambiguous',
        attempt_id: 'a@1.1',
        message: expect.stringContaining('write $SPANWRIGHT_OUTCOME instead'),
      },
    ])
    await Promise.all([other.done, third.done])
    const alone = await bench.run('touch .ai/status.json')
    expect(alone.outcome.failure).toMatchObject({ code: 'agent_failed' })
  })
})

describe('outputs', () => {
  const outputs = (finished: Finished): unknown => finished.outcome.outputs

  test('lines of the outputs file; the outcome file wins per key', async () => {
    const script = `printf 'a=1\\nb= two words \\nc<<EOF\\nx=1\\ny\\nEOF\\n\\na=again=\\n' > "$SPANWRIGHT_OUTPUTS"; ${says({ outputs: { b: 2 } })}`
    const finished = await workbench().run(script)
    expect(outputs(finished)).toEqual({ a: 'again=', b: 2, c: 'x=1\ny' })
    expect(() => finished.file('outputs.txt')).toThrow('ENOENT')
  })

  test.each([
    ['novalue', /outputs file .*outputs\.txt: line 1 is "novalue"; expected key=value/],
    ['a=1\n=2', /line 2 is "=2"/],
    ['a<<EOF\nx', /line 1 begins a<<EOF but no later line is "EOF"/],
  ])('a wrong line %j', async (text, expected) => {
    expect(await failureOf(writes('$SPANWRIGHT_OUTPUTS', text))).toMatch(expected)
  })

  test('nothing in a value is executed or lost', async () => {
    const value = `'"$(touch pwned) \`touch pwned\` \${{ x }} \u{1F600} \\n`
    const bench = workbench()
    const finished = await bench.run(writes('$SPANWRIGHT_OUTPUTS', `v=${value}`))
    expect(outputs(finished)).toEqual({ v: value })
    const next = await bench.run(
      {
        shell: 'sh',
        script: 'printf %s "${SPANWRIGHT_X1}"; printf "|%s" ${SPANWRIGHT_X1} >/dev/null',
        bindings: [{ name: 'SPANWRIGHT_X1', expression: 'nodes.a.outputs.v' }],
      },
      { inputs: { 'nodes.a.outputs.v': value } },
    )
    expect(next.file('stdout.log')).toBe(value)
    expect(existsSync(join(bench.cwd, 'pwned'))).toBe(false)
    expect(outputs(await workbench().run(`printf 'k=\\377\\n' > "$SPANWRIGHT_OUTPUTS"`))).toEqual({ k: '\uFFFD' })
  })

  test('are checked against their schemas; texts are read as what is declared', async () => {
    const declared = { count: { type: 'integer', minimum: 1 }, name: { type: 'string' } }
    const given = (text: string) =>
      workbench().run(writes('$SPANWRIGHT_OUTPUTS', text), { node: { outputs: declared } })
    expect(outputs(await given('count=3\nname=7'))).toEqual({ count: 3, name: '7' })
    expect((await given('count=many\nname=x')).outcome.failure).toMatchObject({
      code: 'invalid_output',
      message: 'output count does not fit its schema: expected number, received string; got "many"',
    })
    expect((await given('name=x')).outcome.failure!.message).toBe(
      'output count is missing: the step must give it (it gave name)',
    )
    expect((await workbench().run('exit 1', { node: { outputs: declared } })).outcome.failure?.code).toBe(
      'exit_nonzero',
    )
  })

  test('larger than an entry of the journal holds', async () => {
    expect(await failureOf(`(printf v=; head -c 250000 /dev/zero | tr '\\0' x) > "$SPANWRIGHT_OUTPUTS"`)).toMatch(
      /write large values to a file/,
    )
  })

  test('secrets in them are masked, with a warning', async () => {
    const { outcome, observed, file } = await workbench({ mask: maskOf('hunter22') }).run(
      `echo hunter22; ${says({ outputs: { a: 'x hunter22', b: 1 }, notes: 'hunter22' })}`,
    )
    expect(outcome).toMatchObject({ outputs: { a: 'x ***', b: 1 }, notes: '***' })
    expect(ofType(observed, 'warning.raised')).toMatchObject([
      { code: 'outputs_masked', message: expect.stringContaining('output a') },
    ])
    expect(file('stdout.log') + file('outcome.json') + file('command.json')).not.toContain('hunter22')
  })
})

describe('decisions', () => {
  const fence = '```'
  const decides = (text: string) => workbench().run(prints(text), { node: { decision } })

  test('the last fenced JSON block gives label and message', async () => {
    const { outcome, observed } = await decides(
      `${fence}json\n{"label": "rework"}\n${fence}\nOn reflection:\n${fence}json\n{"disposition": "approve", "message": "all good"}\n${fence}\nbye`,
    )
    expect(outcome).toMatchObject({ label: 'approve', notes: 'all good' })
    expect(ofType(observed, 'outcome.normalized')).toMatchObject([{ source: 'stdout', label: 'approve' }])
  })

  test('a label in a file goes before it', async () => {
    const { outcome } = await workbench().run(
      `${prints(`${fence}\n{"label": "rework"}\n${fence}`)}${says({ label: 'approve' })}`,
      { node: { decision } },
    )
    expect(outcome.label).toBe('approve')
  })

  test('the text may begin inside a block, and be nothing but fences', async () => {
    expect(
      (await decides(`"tail": 1}\n${fence}\nso:\n${fence}json\n{"label": "approve"}\n${fence}`)).outcome.label,
    ).toBe('approve')
    expect((await decides(`${fence}\n`.repeat(16_000))).outcome.label).toBeUndefined()
  })

  test('a block that cannot be read is no decision', async () => {
    expect((await decides(`${fence}json\n{"label": approve}\n${fence}`)).outcome.failure).toMatchObject({
      code: 'invalid_output',
      message: expect.stringContaining('not valid JSON'),
    })
    expect((await decides(`${fence}json\n{"verdict": "x"}\n${fence}`)).outcome.failure!.message).toContain(
      'no disposition or label',
    )
    expect((await decides('approve!')).outcome.label).toBeUndefined()
  })
})
