// The last line of a running attempt: what programs print for people, never the protocol of a client.
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { readOutputTails } from '../../src/cli/live/output-tail.ts'
import type { NodeView, RunView } from '../../src/cli/live/run-view.ts'
import { attemptDirectory } from '../../src/journal/run-directory.ts'
import { temporaryDirectory } from '../support/cli.ts'

test.each([
  { agent: undefined, text: 'working' },
  { agent: { name: 'command' }, text: 'working' },
  { agent: { name: 'claude' }, text: undefined },
])('of $agent.name: $text', ({ agent, text }) => {
  const runDirectory = temporaryDirectory()
  const directory = attemptDirectory(runDirectory, 'a@1.1')
  mkdirSync(directory, { recursive: true })
  writeFileSync(path.join(directory, 'stdout.log'), 'begun\nworking\n')
  const attempt = { id: 'a@1.1', lastOutputAt: 0, text: undefined }
  const node = { mark: 'running', attempt, agent } as unknown as NodeView
  readOutputTails({ running: new Map([['a', node]]) } as unknown as RunView, runDirectory)
  expect(attempt.text).toBe(text)
  expect(attempt.lastOutputAt).toBeGreaterThan(0)
})
