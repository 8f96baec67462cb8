// Owns: what steps say about themselves, through the built program: status files and their labels, wrong files and the
// sentence that names them, loops that repeat themselves, outputs that try to be more than text.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCli } from '../support/cli.ts'
import { eventsOf, finalOf, latestRun, linesOf, originOf, pipelineDirectory } from '../support/run-record.ts'

const utf8 = { LANG: 'C.UTF-8' }

describe('a step that writes only .ai/status.json', () => {
  const cwd = pipelineDirectory(`
name: status
nodes:
  - id: review
    run: |
      mkdir -p .ai
      cat > .ai/status.json <<'END'
      {"status": "ok", "preferred_label": "rework", "context_updates": {"findings": 2, "text": "it's \\"so\\""}}
      END
    decision: [approve, rework]
    routes: [ { when: label == "rework", to: fix } ]
  - { id: fix, routed: true, run: [printf, '%s|%s', '\${{ nodes.review.outputs.findings }}', '\${{ nodes.review.outputs.text }}'] }
`)
  test('succeeds with its label, its outputs reach the next step, and it is on record where they came from', async () => {
    expect(await runCli(['run', 'p.yaml'], { cwd, env: utf8 })).toMatchObject({ exitCode: 0 })
    expect(eventsOf(cwd, 'outcome.normalized')).toMatchObject([{ source: '.ai/status.json' }])
    expect(eventsOf(cwd, 'node.finished')[0]).toMatchObject({
      node: 'review',
      result: 'success',
      label: 'rework',
      outputs: { findings: 2 },
    })
    const output = await runCli(['attempt', 'show', 'latest', 'fix@1.1', '--output'], { cwd })
    expect(output.stdout.trimEnd()).toBe('2|it\'s "so"')
  })
  test('left where it is, it says nothing about a step that does not touch it', async () => {
    writeFileSync(path.join(cwd, 'p.yaml'), 'name: stale\nnodes: [ { id: quiet, run: "true" } ]\n')
    expect(await runCli(['run', 'p.yaml'], { cwd })).toMatchObject({ exitCode: 0 })
    expect(eventsOf(cwd, 'outcome.normalized')).toEqual([])
    expect(eventsOf(cwd, 'node.finished')[0]?.['label']).toBeUndefined()
  })
})

const WRONG: readonly { readonly what: string; readonly run: string; readonly says: readonly RegExp[] }[] = [
  {
    what: 'torn JSON',
    run: `mkdir -p .ai; echo '{"status": "success",' > .ai/status.json`,
    says: [/\.ai\/status\.json/, /JSON/, /\{"status": "success",/],
  },
  {
    what: 'an unknown status',
    run: `mkdir -p .ai; echo '{"status": "splendid"}' > .ai/status.json`,
    says: [/\.ai\/status\.json/, /splendid/, /success/],
  },
  {
    what: 'two statuses that disagree',
    run: `echo '{"status": "success", "outcome": "fail"}' > status.json`,
    says: [/status\.json/, /status/, /outcome/, /success/, /fail/],
  },
  {
    what: 'outputs that are no object',
    run: `echo '{"result": "success", "outputs": [1]}' > "$SPANWRIGHT_OUTCOME"`,
    says: [/outcome\.json|SPANWRIGHT_OUTCOME/, /outputs/, /object/],
  },
  {
    what: 'a line without a value in $SPANWRIGHT_OUTPUTS',
    run: `echo 'just words' > "$SPANWRIGHT_OUTPUTS"`,
    says: [/outputs\.txt|SPANWRIGHT_OUTPUTS/, /just words/, /key=value/],
  },
]
test('a wrong file fails its step with one sentence: which file, what was wrong in it, what was expected', async () => {
  const nodes = WRONG.map(
    ({ run }, index) => `  - { id: n${index}, cwd: d${index}, needs: [], run: ${JSON.stringify(run)} }`,
  )
  const cwd = pipelineDirectory(`name: wrong\nnodes:\n${nodes.join('\n')}\n`)
  for (const index of WRONG.keys()) mkdirSync(path.join(cwd, `d${index}`))
  expect(await runCli(['run', 'p.yaml'], { cwd })).toMatchObject({ exitCode: 1 })
  for (const [index, { what, says }] of WRONG.entries()) {
    const failure = finalOf(cwd)!.nodes.find(({ path: at }) => at === `n${index}`)?.failure
    expect([what, failure?.code]).toEqual([what, 'invalid_output'])
    for (const said of says) expect(`${what}: ${failure?.message}`).toMatch(said)
    expect(failure?.message).not.toContain('\n')
  }
})

test('the exit code beats a file that claims success; a reported failure beats exit 0; both are told', async () => {
  const cwd = pipelineDirectory(`
name: contradiction
on_failure: continue
nodes:
  - { id: liar, cwd: a, run: 'echo ''{"status":"success"}'' > status.json; exit 3' }
  - { id: honest, cwd: b, needs: [], run: 'echo ''{"status":"fail","failure_reason":"the cart is empty"}'' > status.json' }
`)
  for (const name of ['a', 'b']) mkdirSync(path.join(cwd, name))
  expect(await runCli(['run', 'p.yaml'], { cwd })).toMatchObject({ exitCode: 1 })
  expect(eventsOf(cwd, 'outcome.conflict')).toMatchObject([
    { attempt_id: 'liar@1.1', message: expect.stringMatching(/status\.json.*success.*exit/) as unknown },
  ])
  const failures = Object.fromEntries(finalOf(cwd)!.nodes.map((node) => [node.path, node.failure]))
  expect(failures['liar']).toMatchObject({ code: 'exit_nonzero', details: { exit_code: 3 } })
  expect(failures['honest']?.message).toContain('the cart is empty')
})

describe('loops', () => {
  const loop = (script: string): string => `
name: loop
breaker: { limit: 3 }
nodes:
  - id: build
    run: ${JSON.stringify(`n=$(cat n 2>/dev/null || echo 0); n=$((n+1)); echo $n > n; ${script}`)}
    routes: [ { when: result == "failure", to: fix } ]
  - { id: fix, routed: true, run: 'true', routes: [ { to: build } ] }
`
  const NOISE = [
    `echo "error in /tmp/w$n-$$/x.ts:$((n*17)): cannot load deadbeef$n$n after $((n*131))ms on port $((4000+n))" >&2`,
    `if [ $((n % 2)) = 0 ]; then echo '{"code":"E1","file":"a.ts"}'; else echo '{"file":"a.ts","code":"E1"}'; fi >&2`,
    `echo 'error: the module that was asked for could not be loaded because its entry point refers to a file that is not part of the package and no fallback was configured for it' | fold -s -w $((50 + n * 20)) >&2`,
  ]
  test.each(NOISE)('stop at the breaker when only noise differs: %s', async (noise) => {
    const cwd = pipelineDirectory(loop(`${noise}; exit 1`))
    expect(await runCli(['run', 'p.yaml'], { cwd })).toMatchObject({ exitCode: 1 })
    expect(linesOf(cwd, 'n')).toEqual(['3'])
    const { failure } = finalOf(cwd)!
    expect(failure?.code).toBe('breaker_open')
    expect(originOf(failure!)).toMatchObject({ code: 'exit_nonzero', details: { exit_code: 1 } })
    expect(eventsOf(cwd, 'breaker.opened')).toMatchObject([{ node: 'build', count: 3 }])
  })
  test('go on while causes really differ', async () => {
    const script = `set -- alpha beta gamma delta epsilon; shift $((n-1)); echo "undefined symbol $1" >&2; [ $n -ge 5 ]`
    const cwd = pipelineDirectory(loop(script))
    expect(await runCli(['run', 'p.yaml'], { cwd })).toMatchObject({ exitCode: 0 })
    expect(linesOf(cwd, 'n')).toEqual(['5'])
    expect(eventsOf(cwd, 'breaker.opened')).toEqual([])
  })
})

describe('values that try to be more than text', () => {
  const NASTY = 'a\'b"c`touch pwned1`$(touch pwned2)\\n;touch pwned3\nsecond line && touch pwned4 # \u0007 \u001b[31m é'
  const cwd = pipelineDirectory(`
name: nasty
params: { text: { type: string } }
nodes:
  - id: make
    run: [node, -e, "require('fs').writeFileSync(process.env.SPANWRIGHT_OUTCOME, JSON.stringify({result:'success',outputs:{text:process.argv[1]}}))", '\${{ params.text }}']
  - id: shell
    run: |
      printf '%s' "\${{ nodes.make.outputs.text }}" > double.txt
      printf '%s' \${{ nodes.make.outputs.text }} > bare.txt
      cat > here.txt <<END
      \${{ nodes.make.outputs.text }}
      END
  - { id: argv, run: [printf, '%s', '\${{ nodes.make.outputs.text }}'] }
  - id: lanes
    fanout:
      each: ['\${{ nodes.make.outputs.text }}', '../../escape', '-rf']
      as: item
      nodes: [ { id: say, run: 'printf "%s" "\${{ item }}"' } ]
  - { id: bytes, run: 'head -c 1100000 /dev/zero | tr "\\0" x; echo; printf "\\377\\376 bad \\303\\n"; printf "\\033]0;title\\007\\033[2Jcleared\\n"; exit 5' }
`)
  test('arrive unchanged and run nothing', async () => {
    const { exitCode, stderr } = await runCli(['run', 'p.yaml', '--param', `text=${NASTY}`], { cwd, env: utf8 })
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 1 })
    for (const file of ['double.txt', 'bare.txt']) expect(readFileSync(path.join(cwd, file), 'utf8')).toBe(NASTY)
    expect(readFileSync(path.join(cwd, 'here.txt'), 'utf8')).toBe(`${NASTY}\n`)
    for (let index = 1; index <= 4; index++) expect(existsSync(path.join(cwd, `pwned${index}`))).toBe(false)
    const log = path.join(latestRun(cwd), 'attempts/argv/1.1/stdout.log')
    expect(readFileSync(log, 'utf8')).toBe(NASTY)
    expect(existsSync(path.join(latestRun(cwd), '..', 'escape'))).toBe(false)
    // What is shown to a person holds no control characters, whatever the step said.
    for (const args of [
      ['show', 'latest'],
      ['events', 'latest'],
      ['attempt', 'show', 'latest', 'bytes@1.1'],
    ]) {
      const { stdout } = await runCli(args, { cwd, env: utf8 })
      expect(stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/)
    }
    expect(stderr).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/)
    const raw = readFileSync(path.join(latestRun(cwd), 'attempts/bytes/1.1/stdout.log'))
    expect(raw.length).toBeGreaterThan(1_100_000)
    expect(raw.includes(Buffer.from([0xff, 0xfe]))).toBe(true)
  })
})
