// Requests of other processes: taken once, answered, never lost between them.
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  askRun,
  controlDirectory,
  serveControl,
  type ControlRequest,
  type ControlServer,
} from '../../src/runner/control.ts'
import { temporaryDirectory } from '../support/cli.ts'

const cancel: ControlRequest = { type: 'cancel', by: { kind: 'user', user: 'ada' }, force: false }
const ended = { refused: 'conflict', message: 'the run has ended' } as const
const held = (): boolean => true

let server: ControlServer | undefined
afterEach(() => server?.close(ended))

describe('control requests', () => {
  it('are handed over in full, answered, and leave nothing behind', async () => {
    const run = temporaryDirectory()
    const got: ControlRequest[] = []
    server = serveControl(run, async (request) => void got.push(request))
    expect(await askRun(run, cancel, held)).toBeUndefined()
    const answer: ControlRequest = {
      type: 'gate.answer',
      node: 'ship',
      choice: 'approve',
      by: { kind: 'user' },
      comment: 'go "on"\n',
    }
    expect(await askRun(run, answer, held)).toBeUndefined()
    expect(got).toEqual([cancel, answer])
    expect(readdirSync(controlDirectory(run))).toEqual([])
  })

  it('bring the refusal back to the asker', async () => {
    const run = temporaryDirectory()
    const refusal = { refused: 'not_found', message: 'no gate "ship" is open' } as const
    server = serveControl(run, async () => refusal)
    expect(await askRun(run, cancel, held)).toEqual(refusal)
  })

  it('that were there before the run was served are taken, in the order of arrival', async () => {
    const run = temporaryDirectory()
    const got: string[] = []
    const first = askRun(run, { ...cancel, message: '1' }, held)
    const second = askRun(run, { ...cancel, message: '2' }, held)
    server = serveControl(run, async (request) => void got.push((request as { message: string }).message))
    await Promise.all([first, second])
    expect(got).toEqual(['1', '2'])
  })

  it('are taken back when nobody answers, and not taken by anyone later', async () => {
    const run = temporaryDirectory()
    expect(await askRun(run, cancel, held, 120)).toBe('unanswered')
    expect(await askRun(run, cancel, () => false)).toBe('unanswered')
    expect(readdirSync(controlDirectory(run))).toEqual([])
    const got: ControlRequest[] = []
    const expired = path.join(controlDirectory(run), 'killed-asker.json')
    writeFileSync(expired, JSON.stringify({ v: 1, expires_at: Date.now() - 1, request: cancel }))
    server = serveControl(run, async (request) => void got.push(request))
    expect(await askRun(run, { ...cancel, force: true }, held)).toBeUndefined()
    expect(got).toEqual([{ ...cancel, force: true }])
    expect(existsSync(expired)).toBe(false)
  })

  it('that cannot be read are refused', async () => {
    const run = temporaryDirectory()
    server = serveControl(run, async () => undefined)
    const nonsense = { type: 'explode' } as unknown as ControlRequest
    expect(await askRun(run, nonsense, held)).toMatchObject({ refused: 'invalid' })
  })

  it('that arrive at the very end are answered by the closing server', async () => {
    const run = temporaryDirectory()
    server = serveControl(run, async () => undefined)
    const asked = askRun(run, cancel, held)
    server.close(ended)
    expect(await asked).toEqual(ended)
  })
})
