// Owns: bad input of every kind through the built program: one clear error, the right exit code, nothing started,
// nothing lost. Mutated pipelines, params, names of things that are not there, damaged and unwritable stores, huge logs.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { beforeAll, describe, expect, test } from 'vitest'
import { childEnvironment, PROJECT_ROOT, runCli, startCli, temporaryDirectory } from '../support/cli.ts'
import { eventsOf, eventually, finalOf, latestRun, linesOf, pipelineDirectory, runIds } from '../support/run-record.ts'

const utf8 = { LANG: 'C.UTF-8' }
const MAIN = path.join(PROJECT_ROOT, 'dist/cli/main.js')

/** Numbers in [0, 1) that are the same in every run of the tests. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
}

const HOSTILE = [
  'null',
  '[]',
  '{}',
  '-1',
  '1e999',
  '"',
  "'",
  '${{',
  '${{ 1 + }}',
  '\t',
  '\u0000',
  '*x',
  '&x [*x]',
  '!!js/function x',
  '\ud800',
  '%',
  ': :',
  '|',
  '- - -',
  '0x',
  '💥',
  'true',
  '<<: *a',
]
function mutate(text: string, random: () => number): string {
  const lines = text.split('\n')
  const at = Math.floor(random() * lines.length)
  const line = lines[at]!
  const value = HOSTILE[Math.floor(random() * HOSTILE.length)]!
  const inside = Math.floor(random() * (line.length + 1))
  switch (Math.floor(random() * 8)) {
    case 0:
      lines.splice(at, 1)
      break
    case 1:
      lines.splice(at, 0, line)
      break
    case 2:
      lines[at] = line.replace(/:.*/, `: ${value}`)
      break
    case 3:
      lines[at] = `${line.slice(0, inside)}${value}${line.slice(inside)}`
      break
    case 4:
      lines[at] = ` ${line}`
      break
    case 5:
      lines[at] = line.replace(/[a-z]{3,}/, (word) => word.slice(1) + word[0])
      break
    case 6:
      lines.length = at
      break
    default:
      lines[at] = line.slice(0, inside) + line.slice(inside + 1 + Math.floor(random() * 5))
  }
  return lines.join('\n')
}

describe('200 mutated pipelines', () => {
  const cwd = temporaryDirectory()
  const base = readFileSync(path.join(PROJECT_ROOT, 'examples/quickstart.yaml'), 'utf8')
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
  const random = randomFrom(20_261_121)
  const files = Array.from({ length: 200 }, (_, index) => `m${index}.yaml`)
  for (const file of files) {
    let text = base
    for (let times = 1 + Math.floor(random() * 3); times > 0; times--) text = mutate(text, random)
    writeFileSync(path.join(cwd, file), text)
  }
  let invalid: string[] = []

  test('validate names file, line, column, rule and fix of each problem, and never breaks', async () => {
    const { exitCode, stdout, stderr } = await runCli(['validate', ...files, '--json'], { cwd })
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: '' })
    const { problems } = JSON.parse(stdout) as {
      problems: { file: string; line: number; column: number; rule: string; message: string; severity: string }[]
    }
    for (const problem of problems) {
      expect(problem).toMatchObject({ rule: expect.stringMatching(/^[a-z0-9_.-]+$/) as unknown })
      expect(problem.line).toBeGreaterThan(0)
      expect(problem.column).toBeGreaterThan(0)
      expect(problem.message.length).toBeGreaterThan(10)
      expect(problem.message).not.toMatch(/\[object|undefined is|Cannot read|is not a function/)
    }
    invalid = [
      ...new Set(problems.filter(({ severity }) => severity === 'error').map(({ file }) => path.basename(file))),
    ]
    expect(invalid.length).toBeGreaterThan(80)
    expect(existsSync(path.join(cwd, '.spanwright'))).toBe(false)
  })

  test('run refuses them with exit 2 and starts nothing', async () => {
    const sample = invalid.filter((_, index) => index % Math.ceil(invalid.length / 6) === 0)
    const results = await Promise.all(sample.map((file) => runCli(['run', file], { cwd })))
    for (const [index, { exitCode, stdout, stderr }] of results.entries()) {
      expect([sample[index], exitCode, stdout]).toEqual([sample[index], 2, ''])
      expect(stderr).not.toMatch(/^ {4}at |unexpected:/m)
      expect(stderr).toContain(sample[index])
    }
    expect(existsSync(path.join(cwd, '.spanwright'))).toBe(false)
  })
})

test('files that are no pipelines', async () => {
  const cwd = temporaryDirectory()
  writeFileSync(path.join(cwd, 'empty.yaml'), '')
  writeFileSync(path.join(cwd, 'binary.yaml'), Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1, 2, 0xff, 0xfe]))
  writeFileSync(path.join(cwd, 'huge.yaml'), `name: x\n${'# comment\n'.repeat(200_000)}`)
  const bombs = Array.from({ length: 12 }, (_, i) => `x-${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`)
  writeFileSync(path.join(cwd, 'bomb.yaml'), `x-0: &a0 [1]\n${bombs.join('\n')}\nname: b\nnodes: []\n`)
  writeFileSync(path.join(cwd, 'throws.ts'), 'throw new Error("no pipeline today")\n')
  writeFileSync(path.join(cwd, 'nothing.ts'), 'export const x = 1\n')
  writeFileSync(
    path.join(cwd, 'cycle.yaml'),
    'name: c\nnodes:\n  - {id: a, needs: [b], run: x}\n  - {id: b, needs: [a], run: x}\n',
  )
  mkdirSync(path.join(cwd, 'dir.yaml'))
  const names = [
    'empty.yaml',
    'binary.yaml',
    'huge.yaml',
    'bomb.yaml',
    'throws.ts',
    'nothing.ts',
    'cycle.yaml',
    'dir.yaml',
    'none.yaml',
  ]
  const results = await Promise.all(names.map((name) => runCli(['run', name], { cwd })))
  for (const [index, { exitCode, stdout, stderr }] of results.entries()) {
    expect([names[index], exitCode, stdout]).toEqual([names[index], 2, ''])
    expect(stderr).toContain(names[index]!)
    expect(stderr).not.toMatch(/^ {4}at |unexpected:/m)
  }
  expect(results[6]?.stderr).toMatch(/a -> b -> a|a → b → a/)
  expect(existsSync(path.join(cwd, '.spanwright'))).toBe(false)
})

describe('params', () => {
  const cwd = pipelineDirectory(`
name: p
params: { n: { type: integer }, list: { type: array, default: [] }, on: { type: boolean, default: false } }
nodes: [ { id: a, run: [echo, '\${{ params.n }}'] } ]
`)
  test.each<[string[], RegExp]>([
    [[], /param `n`.*(required|missing|needs)/],
    [['--param', 'n=three'], /`n` must be a whole number, found three/],
    [['--param', 'n=1.5'], /whole number/],
    [['--param', 'n=1', '--param', 'list=[1,'], /list.*array \(JSON/],
    [['--param', 'n=1', '--param', 'on=maybe'], /on.*(boolean|true)/],
    [['--param', 'n=1', '--param', 'm=1'], /unknown param `m`.*/],
    [['--param', '=1', '--param', 'n=1'], /name=value/],
  ])('%j: exit 2, one line, nothing started', async (args, says) => {
    const { exitCode, stdout, stderr } = await runCli(['run', 'p.yaml', ...args], { cwd })
    expect({ exitCode, stdout, lines: stderr.trimEnd().split('\n').length }).toEqual({
      exitCode: 2,
      stdout: '',
      lines: 1,
    })
    expect(stderr).toMatch(says)
    expect(runIds(cwd)).toEqual([])
  })
})

describe('a damaged run', () => {
  const home = pipelineDirectory(
    'name: damaged\nnodes:\n  - { id: a, run: "echo a >> ran.txt" }\n  - { id: b, run: "[ -e go ] || sleep 600", grace: 200ms }\n',
  )
  let runId = ''
  beforeAll(async () => {
    const cli = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd: home })
    await cli.saw(/b@1\.1 +started/)
    cli.kill('SIGINT')
    expect(await cli.ended).toMatchObject({ exitCode: 130 })
    runId = runIds(home)[0]!
    writeFileSync(path.join(home, 'ok.yaml'), 'name: fine\nnodes: [ { id: a, run: "true" } ]\n')
  })
  const COMMANDS = [
    ['show', 'latest'],
    ['show', 'latest', '--json'],
    ['status', 'latest'],
    ['events', 'latest'],
    ['trace', 'latest'],
    ['attempt', 'show', 'latest', 'a@1.1'],
    ['attach', 'latest'],
    ['resume', 'latest'],
    ['retry', 'latest'],
  ]
  const DAMAGE: Record<string, (journal: string) => void> = {
    'a line of garbage in the middle': (journal) => editLines(journal, (lines) => lines.with(2, 'garbage')),
    'a missing line': (journal) => editLines(journal, (lines) => lines.toSpliced(3, 1)),
    'an empty journal': (journal) => truncateSync(journal),
    'no journal': (journal) => rmSync(journal),
    'a line of a newer version': (journal) =>
      editLines(journal, (lines) => lines.with(1, lines[1]!.replace('"v":1', '"v":99'))),
  }
  test.each(Object.keys(DAMAGE))(
    '%s: every command says where, in one line, with exit 5; nothing is written',
    async (what) => {
      const cwd = temporaryDirectory()
      cpSync(home, cwd, { recursive: true })
      const journal = path.join(latestRun(cwd), 'journal.ndjson')
      DAMAGE[what]!(journal)
      const before = existsSync(journal) ? readFileSync(journal, 'utf8') : undefined
      const results = await Promise.all(COMMANDS.map((args) => runCli(args, { cwd })))
      for (const [index, { exitCode, stdout, stderr }] of results.entries()) {
        const command = COMMANDS[index]!.join(' ')
        expect([command, exitCode, stdout]).toEqual([command, 5, ''])
        expect([command, stderr.trimEnd().split('\n')]).toEqual([command, [expect.stringContaining(journal)]])
      }
      expect(existsSync(journal) ? readFileSync(journal, 'utf8') : undefined).toBe(before)
      expect(finalOf(cwd)).toMatchObject({ result: 'cancellation', resumable: true })
      expect((await runCli(['runs'], { cwd })).stdout).toContain('damaged')
      expect(await runCli(['run', 'ok.yaml', '--ui', 'quiet'], { cwd })).toMatchObject({ exitCode: 0, stderr: '' })
    },
  )

  test('a torn tail is cut with a warning, and the run goes on', async () => {
    const cwd = temporaryDirectory()
    cpSync(home, cwd, { recursive: true })
    const journal = path.join(latestRun(cwd), 'journal.ndjson')
    truncateSync(journal, readFileSync(journal).length - 7)
    expect(await runCli(['show', 'latest'], { cwd })).toMatchObject({ exitCode: 0 })
    // Steps run where they ran before.
    writeFileSync(path.join(home, 'go'), '')
    expect(await runCli(['resume', 'latest', '--ui', 'quiet'], { cwd })).toMatchObject({ exitCode: 0 })
    expect(eventsOf(cwd, 'warning.raised')).toMatchObject([{ code: 'torn_tail' }])
  })

  test.each([
    ['final.json', '{', /delete it.*recover/],
    ['run.json', 'x', /backup/],
    ['pipeline.json', '[]', /backup/],
  ])('a wrong %s is named; lists go on without the run and say so', async (name, text, advice) => {
    const cwd = temporaryDirectory()
    cpSync(home, cwd, { recursive: true })
    const file = path.join(latestRun(cwd), name)
    writeFileSync(file, text)
    const shown = await runCli(['show', 'latest'], { cwd })
    expect({ exitCode: shown.exitCode, lines: shown.stderr.split('\n').length }).toEqual({ exitCode: 5, lines: 2 })
    expect(shown.stderr).toContain(file)
    expect(shown.stderr).toMatch(advice)
    expect(await runCli(['run', 'ok.yaml', '--ui', 'quiet'], { cwd })).toMatchObject({ exitCode: 0 })
    const listed = await runCli(['runs'], { cwd })
    expect(listed).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('fine') as unknown })
    if (name !== 'pipeline.json') expect(listed.stderr).toMatch(new RegExp(`${runId} is left out`))
  })

  test('a torn final.json is made again', async () => {
    const cwd = temporaryDirectory()
    cpSync(home, cwd, { recursive: true })
    const final = path.join(latestRun(cwd), 'final.json')
    const whole = JSON.parse(readFileSync(final, 'utf8')) as object
    rmSync(final)
    expect(await runCli(['recover'], { cwd })).toMatchObject({ exitCode: 0 })
    expect(finalOf(cwd)).toEqual(whole)
  })
})

function editLines(file: string, edit: (lines: string[]) => string[]): void {
  writeFileSync(file, `${edit(readFileSync(file, 'utf8').split('\n').slice(0, -1)).join('\n')}\n`)
}

test('a store that becomes full: store_unwritable, what was kept is said, nothing is left; resume does the rest once', async () => {
  const step = 'echo "$SPANWRIGHT_ATTEMPT_ID" >> ran.txt'
  const cwd = pipelineDirectory(`
name: full
nodes:
  - { id: a, run: '${step}' }
  - { id: many, fanout: { count: 60, nodes: [ { id: x, run: '${step}' } ] } }
`)
  // The limit (in 512 or 1,024 byte blocks) holds for every file that the process writes: the journal meets it first.
  const limited = `ulimit -f 40; exec '${process.execPath}' '${MAIN}' run p.yaml --ui plain`
  const full = spawnSync('bash', ['-c', limited], {
    cwd,
    env: childEnvironment(utf8),
    encoding: 'utf8',
    timeout: 30_000,
  })
  expect(full.status).toBe(5)
  expect(full.stderr).toMatch(/journal\.ndjson: the file size limit is reached.*Entries up to \d+ are kept/)
  const ran = linesOf(cwd, 'ran.txt')
  expect(ran.length).toBeGreaterThan(3)
  expect(ran.length).toBeLessThan(61)
  expect(await runCli(['resume', 'latest', '--ui', 'quiet'], { cwd })).toMatchObject({ exitCode: 0 })
  const finished = new Set(eventsOf(cwd, 'attempt.finished').map(({ attempt_id: id }) => id))
  const lost = new Set(eventsOf(cwd, 'attempt.lost').map(({ attempt_id: id }) => id))
  expect(finished.size).toBe(61)
  const after = linesOf(cwd, 'ran.txt')
  expect(new Set(after).size).toBe(after.length)
  for (const id of after) expect([id, finished.has(id) || lost.has(id)]).toEqual([id, true])
})

test('2 GiB of output: the log is capped and says so, the orchestrator stays small', async () => {
  const cwd = pipelineDirectory(`name: huge\nnodes: [ { id: big, run: 'head -c 2G /dev/zero | tr "\\0" x' } ]\n`)
  const cli = startCli(['run', 'p.yaml', '--ui', 'plain'], { cwd, env: utf8 })
  let peak = 0
  const watching = setInterval(() => (peak = Math.max(peak, peakOf(cli.pid))), 50)
  expect(await cli.ended).toMatchObject({ exitCode: 0 })
  clearInterval(watching)
  console.log(`2 GiB of output: the orchestrator's peak was ${Math.round(peak / 1024)} MiB`)
  expect(peak).toBeGreaterThan(0)
  expect(peak).toBeLessThan(300 * 1024)
  const log = readFileSync(path.join(latestRun(cwd), 'attempts/big/1.1/stdout.log'))
  expect(log.length).toBeLessThan(64 * 1024 * 1024 + 200)
  expect(log.subarray(-150).toString()).toMatch(/capped at 67108864 bytes/)
  expect(eventsOf(cwd, 'log.capped')).toMatchObject([{ stream: 'stdout', limit_bytes: 67_108_864 }])
  await eventually(() => !existsSync(path.join(latestRun(cwd), 'lease.json')))
}, 60_000)

/** Largest resident size so far, in KiB; 0 once the process is gone. */
function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}
