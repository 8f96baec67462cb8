// Owns: the tables of panels in docs/dashboards.md: what is where, in the order in which it is read.
import { BOARDS } from './dashboards.ts'
import type { Placed } from './panels.ts'

const BEGIN = '<!-- panels: written by npm run dashboards -->'
const END = '<!-- end of panels -->'

const KIND: Readonly<Record<string, string>> = { stat: 'figure', table: 'table', timeseries: 'chart' }
const cell = (text: string): string => text.replaceAll('|', String.raw`\|`)

function line({ panel: { title = '', type, description = '', fieldConfig } }: Placed): string {
  const empty = fieldConfig?.defaults.noValue ?? ''
  return `| ${[title, KIND[type] ?? type, description, empty].map(cell).join(' | ')} |`
}

/** `page` with its tables of panels as they are now. Throws when the page has lost the two marks around them. */
export function withPanelList(page: string): string {
  const [before, rest] = page.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`The page has no "${BEGIN}" … "${END}"`)
  const tables = BOARDS.map(({ title, uid, rows }) =>
    [
      `### ${title}`,
      '',
      `\`${uid}\``,
      ...rows.flatMap((row) => [
        '',
        `**${row.title}**`,
        '',
        '| panel | | what it says | when it is empty |',
        '|---|---|---|---|',
        ...row.panels.map(line),
      ]),
    ].join('\n'),
  )
  return `${before}${BEGIN}\n\n${tables.join('\n\n')}\n\n${END}${after}`
}
