// Owns: the table over all packages: node report.mjs <branches of the fan-out, as JSON>
import { fail, succeed } from './step.mjs'

const [branches] = process.argv.slice(2)
if (branches === undefined) fail('usage: report.mjs <branches as JSON>')

const rows = JSON.parse(branches).map(({ outputs }) => ({ ...outputs.fetch, ...outputs.parse }))
rows.sort((a, b) => b.exports - a.exports)
const columns = ['name', 'version', 'bytes', 'files', 'lines', 'exports', 'unparsed']
const cells = [columns, ...rows.map((row) => columns.map((column) => String(row[column])))]
const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index].length)))
for (const line of cells) {
  console.log(
    line.map((cell, index) => (index < 2 ? cell.padEnd(widths[index]) : cell.padStart(widths[index]))).join('  '),
  )
}
succeed({ packages: rows.length, exports: rows.reduce((sum, row) => sum + row.exports, 0) })
