// A program for tests: opens run argv[3] of the store in argv[2] and appends argv[4] entries in groups of changing size.
import { createMask } from '../../../src/journal/masking.ts'
import { createNdjsonStore } from '../../../src/journal/ndjson-store.ts'
import { NOW, warning } from '../sample-events.ts'

const [, , directory, runId, count] = process.argv
const writer = await createNdjsonStore(directory!).open(runId!, { mask: createMask({}), sync: 'os' })
while (writer.lastSeq < Number(count)) {
  const size = Math.min(1 + ((writer.lastSeq * 7) % 90), Number(count) - writer.lastSeq)
  writer.append(
    Array.from({ length: size }, (_, i) => warning(`☂ ${'x'.repeat(i * 50)}`)),
    NOW,
  )
  writer.commit()
  if (size % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
}
writer.close()
