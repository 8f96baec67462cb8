// A process that takes a claim, notes that it holds it, and leaves it until `<file>.over` is there: `kill` dies with it, `orphan`
// leaves it as a dead process would (many more takeovers a second), `release` gives it back.
// Holding is noted by an exclusively created file: two holders at once cannot both make it.
import { appendFileSync, closeSync, existsSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { acquireClaim, releaseClaim } from '../../../src/runner/claim.ts'
import { identify } from '../../../src/runner/process-identity.ts'

const [file, log, ending] = process.argv.slice(2) as [string, string, string]
while (!existsSync(`${file}.over`)) {
  const acquired = acquireClaim(file)
  if (!('token' in acquired)) continue
  try {
    closeSync(openSync(`${file}.inside`, 'wx'))
  } catch {
    appendFileSync(log, `two holders: ${process.pid}\n`)
  }
  appendFileSync(log, 'held\n')
  rmSync(`${file}.inside`, { force: true })
  if (ending === 'kill') process.kill(process.pid, 'SIGKILL')
  if (ending === 'orphan') {
    const dead = { ...identify(), start_time: 1, renewed_at: new Date().toISOString(), token: acquired.token }
    writeFileSync(`${file}.orphan-${process.pid}`, JSON.stringify(dead))
    renameSync(`${file}.orphan-${process.pid}`, file)
  } else {
    releaseClaim(file, acquired.token)
  }
}
