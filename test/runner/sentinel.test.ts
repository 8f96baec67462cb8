// The sentinel waits, takes over only when it has to, and is replaced when it dies.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { isAlive, readProc, startTime } from '../../src/effects/proc.ts'
import { childEnvironment, temporaryDirectory } from '../support/cli.ts'
import { until } from './until.ts'

const owner = fileURLToPath(new URL('programs/sentinel-owner.ts', import.meta.url))
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

async function startOwner() {
  const evidence = path.join(temporaryDirectory(), 'took-over')
  const script = 'echo "$$ $SPANWRIGHT_SENTINEL" > "$1.part"; mv "$1.part" "$1"'
  const child = spawn(process.execPath, [owner, 'sh', '-c', script, 'takeover', evidence], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: childEnvironment(),
  })
  children.push(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const pid = async (): Promise<number> => Number((await lines.next()).value)
  const first = await pid()
  return { child, evidence, pid: first, start: startTime(first), nextPid: pid }
}

describe('the sentinel', () => {
  it('becomes the takeover, as the same process, when its owner is killed', async () => {
    const { child, evidence, pid } = await startOwner()
    child.kill('SIGKILL')
    await until(() => existsSync(evidence))
    expect(readFileSync(evidence, 'utf8')).toBe(`${pid} 1\n`)
  })

  it('goes without doing anything when it is dismissed', async () => {
    const { child, evidence, pid, start } = await startOwner()
    child.stdin?.write('end\n')
    await once(child, 'exit')
    await until(() => !isAlive(pid, start))
    expect(existsSync(evidence)).toBe(false)
  })

  it('lives in a session of its own and is not ended by polite signals', async () => {
    const { child, evidence, pid, start } = await startOwner()
    const session = (of: number): string | undefined => readProc(of, 'stat')?.toString().split(') ')[1]?.split(' ')[3]
    expect(session(pid)).toBe(String(pid))
    expect(session(child.pid!)).not.toBe(String(pid))
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.kill(pid, signal)
    child.kill('SIGKILL')
    await until(() => existsSync(evidence))
    await until(() => !isAlive(pid, start))
  })

  it('is replaced when it died, and the replacement takes over', async () => {
    const { child, evidence, pid, nextPid } = await startOwner()
    process.kill(pid, 'SIGKILL')
    const second = await nextPid()
    expect(second).not.toBe(pid)
    child.kill('SIGKILL')
    await until(() => existsSync(evidence))
    expect(readFileSync(evidence, 'utf8')).toBe(`${second} 1\n`)
  })
})
