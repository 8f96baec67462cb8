// A process that takes a claim, notes that it holds it, and either dies with it or gives it back; until a time is up.
// Holding is noted by an exclusively created file: two holders at once cannot both make it.
import { appendFileSync, closeSync, openSync, rmSync } from 'node:fs'
import { acquireClaim, releaseClaim } from '../../../src/runner/claim.ts'

const [file, log, untilText, dies] = process.argv.slice(2) as [string, string, string, string]
const until = Number(untilText)
while (Date.now() < until) {
  const acquired = acquireClaim(file)
  if (!('token' in acquired)) continue
  try {
    closeSync(openSync(`${file}.inside`, 'wx'))
  } catch {
    appendFileSync(log, `two holders: ${process.pid}\n`)
  }
  appendFileSync(log, 'held\n')
  rmSync(`${file}.inside`)
  // A dead holder: the claim stays behind and has to be taken over.
  if (dies === 'yes') process.kill(process.pid, 'SIGKILL')
  releaseClaim(file, acquired.token)
}
