#!/usr/bin/env node
// A client that does what its environment says: it prints a transcript line by line and ends as it is told.
// FAKE_TRANSCRIPT  path of the transcript
// FAKE_DELAY_MS    pause before each line (default 0)
// FAKE_CUT         number of lines it prints (default all)
// FAKE_EXIT        exit code (default 0)
// FAKE_SIGNAL      signal it ends itself by
// FAKE_STDERR      text it writes to stderr first
// FAKE_HANG        `start`: says nothing, for ever; `end`: lives on after the last line
// FAKE_TERM        `ignore`: TERM does nothing; `0`: TERM makes it exit with 0
// FAKE_CHILD       `1`: leaves a process in a session of its own behind
// FAKE_PROMPT      file that its standard input is written to
// FAKE_COUNT       file to which a line is added at each start
import { spawn } from 'node:child_process'
import { appendFileSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const env = process.env
if (process.argv[2] === '--version') {
  process.stdout.write('fake 1.0.0\n')
  process.exit(0)
}
if (env.FAKE_TERM === 'ignore') process.on('SIGTERM', () => {})
if (env.FAKE_TERM === '0') process.on('SIGTERM', () => process.exit(0))
if (env.FAKE_COUNT) appendFileSync(env.FAKE_COUNT, `${JSON.stringify(process.argv.slice(2))}\n`)
if (env.FAKE_CHILD === '1') {
  spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' }).unref()
}
if (env.FAKE_PROMPT) writeFileSync(env.FAKE_PROMPT, readFileSync(0))
if (env.FAKE_STDERR) writeSync(2, env.FAKE_STDERR)
if (env.FAKE_HANG === 'start') await new Promise(() => setInterval(() => {}, 1_000))

const lines = env.FAKE_TRANSCRIPT ? readFileSync(env.FAKE_TRANSCRIPT, 'utf8').split('\n') : []
const kept = lines.slice(0, env.FAKE_CUT === undefined ? lines.length : Number(env.FAKE_CUT))
for (const line of kept) {
  if (env.FAKE_DELAY_MS) await sleep(Number(env.FAKE_DELAY_MS))
  if (line !== '') process.stdout.write(`${line}\n`)
}
// What is in the pipe's buffer is not lost by an exit.
await new Promise((resolve) => process.stdout.write('', resolve))
if (env.FAKE_HANG === 'end') await new Promise(() => setInterval(() => {}, 1_000))
if (env.FAKE_SIGNAL) {
  process.kill(process.pid, env.FAKE_SIGNAL)
  await sleep(60_000)
}
process.exitCode = Number(env.FAKE_EXIT ?? 0)
