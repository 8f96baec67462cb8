// Writes what follows from the telemetry registry (src/telemetry/registry): names.ts, metric-names.ts, docs/telemetry.md.
// With --check it writes nothing and ends with 1 when one of them is stale. A test says the same.
import { readFile, writeFile } from 'node:fs/promises'
import { generatedFiles } from './registry/generate.ts'
import { readRegistry } from './registry/registry.ts'

const stale: string[] = []
for (const [path, text] of await generatedFiles(readRegistry())) {
  const file = new URL(`../${path}`, import.meta.url)
  if ((await readFile(file, 'utf8').catch(() => undefined)) === text) continue
  stale.push(path)
  if (!process.argv.includes('--check')) await writeFile(file, text)
}
if (process.argv.includes('--check') && stale.length > 0) {
  console.error(`stale, run \`npm run registry\`: ${stale.join(', ')}`)
  process.exitCode = 1
}
