// A program for tests: writes entries to a new run of the store in argv[2] until the store refuses, frees the space by
// truncating the ballast file in argv[3] if there is one, tries again, and prints what happened as JSON.
import { truncateSync } from 'node:fs'
import { SpanwrightError } from '../../../src/core/error.ts'
import { createMask } from '../../../src/journal/masking.ts'
import { createNdjsonStore } from '../../../src/journal/ndjson-store.ts'
import { identity, NOW, pipeline, warning } from '../sample-events.ts'

const [, , directory, ballast] = process.argv
const store = createNdjsonStore(directory!)
const staged = await store.create({ identity: identity('01K9ZZZZZZZZZZZZZZZZZZZZZZ'), pipeline, mask: createMask({}) })
const writer = staged.publish()
const told: { committed: number; error: string; message: string }[] = []
const readable = (): number => [...store.read(writer.runId)].length

function fill(): void {
  for (let i = 0; i < 1_000; i++) {
    writer.append([warning(`${i} ${'x'.repeat(3_000)}`), warning('small')], NOW)
    writer.commit()
  }
}

try {
  fill()
} catch (error) {
  if (!(error instanceof SpanwrightError)) throw error
  told.push({ committed: writer.committedSeq, error: error.code, message: error.message })
}
const kept = readable()
let again: number | undefined
if (ballast) {
  truncateSync(ballast)
  writer.commit()
  again = readable()
}
writer.close()
console.log(JSON.stringify({ told, kept, again, lastSeq: writer.lastSeq }))
