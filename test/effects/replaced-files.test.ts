// Steps know their directory and can put there what is no file: nobody may wait for it, or write or read through it.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { readLog, readVerification } from '../../src/effects/checks/verification-record.ts'
import { readChanges } from '../../src/effects/changes/changes.ts'
import { SideFiles } from '../../src/effects/agents/stream-side.ts'
import { fileTail, jsonFile, textFile } from '../../src/cli/attempt-files.ts'
import { temporaryDirectory } from '../support/cli.ts'
import { maskOf, workbench } from './support.ts'

const IN_ITS_PLACE = {
  'a FIFO': 'mkfifo "$log"',
  'a link': 'ln -s "$PWD/elsewhere" "$log"',
  'a link to nothing': 'ln -s /nowhere/at/all "$log"',
  'a directory': 'mkdir "$log"',
}

test.for(Object.entries(IN_ITS_PLACE))('a log that finds %s in its place', async ([, make]) => {
  const bench = workbench()
  writeFileSync(join(bench.cwd, 'elsewhere'), '')
  const { outcome, file } = await bench.run(`log="$SPANWRIGHT_ATTEMPT_DIR/stderr.log"; ${make}; echo it said this >&2`)
  expect(outcome.failure).toBeUndefined()
  expect(file('stderr.log')).toBe('it said this\n')
  expect(readFileSync(join(bench.cwd, 'elsewhere'), 'utf8')).toBe('')
})

test('files of an attempt that became FIFOs or links are not read', () => {
  const directory = temporaryDirectory()
  const names = ['stdout.log', 'agent.json', 'changes.json', 'verification.json']
  for (const name of names) execFileSync('mkfifo', [join(directory, name)])
  const read = (): unknown[] => [
    readLog(join(directory, 'stdout.log')),
    readChanges(directory),
    readVerification(directory).checks,
    fileTail(directory, 'stdout.log'),
    jsonFile(directory, 'agent.json'),
    textFile(directory, 'agent.json'),
  ]
  const nothing = ['', undefined, [], undefined, undefined, undefined]
  expect(read()).toEqual(nothing)
  const linked = join(directory, 'linked')
  mkdirSync(linked)
  writeFileSync(join(directory, 'secret'), '{"tool_calls": [], "checks": [{}]}')
  for (const name of names) symlinkSync(join(directory, 'secret'), join(linked, name))
  expect([readLog(join(linked, 'stdout.log')), jsonFile(linked, 'agent.json'), readChanges(linked)]).toEqual([
    '',
    undefined,
    undefined,
  ])
})

test('a FIFO beside the output of a client keeps nobody waiting', () => {
  const directory = temporaryDirectory()
  const [fifo, file] = [join(directory, 'fifo'), join(directory, 'file')]
  execFileSync('mkfifo', [fifo])
  writeFileSync(file, 'one\ntwo')
  const lines: string[] = []
  new SideFiles(
    () => [fifo, file],
    (line) => void lines.push(line),
  ).end()
  expect(lines).toEqual(['one', 'two'])
})

test('a secret in a broken report leaves no part of it, wherever the report is cut', async () => {
  const secret = 'sesame-0123456789-open-9876543210-now'
  const filler = (length: number): string => 'x'.repeat(length)
  const reports = [80, 100, 110, 120, 980, 990, 1_980, 1_990].flatMap((length) => [
    `${filler(length)}${secret} is no JSON`,
    JSON.stringify({ status: 'fail', failure: { message: `${filler(length)}${secret}` } }),
    JSON.stringify({ status: 'success', failure_reason: `${filler(length)}${secret}` }),
    JSON.stringify({ status: `${filler(length - 20)}${secret}` }),
  ])
  const bench = workbench({ mask: maskOf(secret) })
  for (const [index, report] of reports.entries()) {
    writeFileSync(join(bench.cwd, 'report'), report)
    const attempt = { attempt: index + 1, id: `build@1.${index + 1}` }
    const { outcome } = await bench.run('cp report "$SPANWRIGHT_OUTCOME"', { attempt })
    expect(outcome.failure).toBeDefined()
    expect(JSON.stringify(outcome)).not.toMatch(/sesame|open-98/)
  }
})
