// A program for tests: lists the store in argv[2] until it holds argv[3] runs, and looks at each run as soon as it
// is there. Prints `whole` if every one was complete.
import { createNdjsonStore } from '../../../src/journal/ndjson-store.ts'

const store = createNdjsonStore(process.argv[2]!)
const deadline = Date.now() + 15_000
process.stdout.write('ready\n')
for (let runs: string[] = []; runs.length < Number(process.argv[3]);) {
  if (Date.now() > deadline) throw new Error(`only ${runs.length} runs appeared`)
  runs = store.list()
  for (const runId of runs) {
    store.readIdentity(runId)
    store.readPipeline(runId)
    for (const entry of store.read(runId)) if (entry.seq !== 1) throw new Error(`${runId}: seq ${entry.seq}`)
  }
}
console.log('whole')
