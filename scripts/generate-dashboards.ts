// Writes dashboards/*.json and the tables of panels in docs/dashboards.md from dashboards/source/. With --check it writes
// nothing and exits 1 when a file is stale.
import { readFileSync, writeFileSync } from 'node:fs'
import { dashboardFiles } from '../dashboards/source/dashboards.ts'
import { withPanelList } from '../dashboards/source/panel-list.ts'

const check = process.argv.includes('--check')
const page = 'docs/dashboards.md'
const wanted = new Map([...dashboardFiles()].map(([name, text]) => [`dashboards/${name}`, text]))
wanted.set(page, withPanelList(read(page) ?? ''))

const stale = [...wanted].filter(([name, text]) => read(name) !== text)
for (const [name, text] of check ? [] : stale) writeFileSync(place(name), text)
if (check && stale.length > 0) {
  process.exitCode = 1
  const names = stale.map(([name]) => name).join(', ')
  process.stderr.write(`Stale: ${names}. Run \`npm run dashboards\` and commit the result.\n`)
}

function place(name: string): URL {
  return new URL(`../${name}`, import.meta.url)
}
function read(name: string): string | undefined {
  try {
    return readFileSync(place(name), 'utf8')
  } catch {
    return undefined
  }
}
