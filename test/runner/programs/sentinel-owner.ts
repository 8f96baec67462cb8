// A process with a sentinel; says the sentinel's pid (again when it was replaced) and then does nothing until it is told
// to end (stdin) or killed. Arguments: the takeover command.
import { startSentinel } from '../../../src/runner/sentinel.ts'

const say = (identity: { pid: number }): void => console.log(identity.pid)
const sentinel = await startSentinel({
  takeover: process.argv.slice(2),
  replaced: say,
  failed: (error) => console.log(String(error)),
})
say(sentinel.identity())
process.stdin.once('data', () => {
  sentinel.dismiss()
  process.exit(0)
})
