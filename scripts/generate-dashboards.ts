// Writes dashboards/*.json from dashboards/source/. With --check it writes nothing and exits 1 when a file is stale.
import { readFileSync, writeFileSync } from 'node:fs'
import { dashboardFiles } from '../dashboards/source/dashboards.ts'

const check = process.argv.includes('--check')
const stale: string[] = []
for (const [name, text] of dashboardFiles()) {
  const file = new URL(`../dashboards/${name}`, import.meta.url)
  if (!check) writeFileSync(file, text)
  else if (read(file) !== text) stale.push(name)
}
if (stale.length > 0) {
  process.exitCode = 1
  process.stderr.write(`Stale: ${stale.join(', ')}. Run \`npm run dashboards\` and commit the result.\n`)
}

function read(file: URL): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
