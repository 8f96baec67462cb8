// Owns: the checks of one attempt with what their tools found, and what the attempt changed, as text. Pure.
import type { EventOf } from '../core/events.ts'
import type { ChangesFile, CheckRow, Diagnostic } from './agent-file.ts'
import type { LabelledRow } from './attempt-text.ts'
import { count, elapsed } from './terminal/amounts.ts'
import { glyph, piece, roleOf, type Look, type Mark } from './terminal/style.ts'
import { cleanLine } from './terminal/text.ts'

const DIAGNOSTICS_SHOWN = 10
const PATHS_SHOWN = 6

/** Checks as the journal tells them; what their tools found is in verification.json. */
export function checkRows(
  checks: readonly EventOf<'check.finished'>[],
  verification: readonly CheckRow[],
  row: LabelledRow,
  look: Look,
): string[] {
  return checks.flatMap((check, index) => {
    const mark: Mark = check.passed ? 'success' : 'failure'
    const cause = check.failure && (check.failure.causes?.[0] ?? check.failure)
    const why = cause ? `  ${check.failure!.code}: ${cleanLine(cause.message)}` : ''
    const found = verification.find(({ name, passed }) => name === check.name && passed === check.passed)
    const exit = found?.exit_code == null || found.exit_code === 0 ? '' : `  exit ${found.exit_code}`
    return [
      row(index === 0 ? 'checks' : '', [
        piece(glyph(mark, look), roleOf(mark)),
        piece(` ${cleanLine(check.name)}${check.required ? '' : ' (not required)'}`),
        piece(`  ${check.level}`, 'dim'),
        piece(`  ${elapsed(check.duration_ms)}${exit}${why}`),
      ]),
      ...(found ? diagnosticRows(found, row) : []),
    ]
  })
}

export const checksNotRunRows = (
  checks: readonly { readonly name: string; readonly level?: string | null | undefined }[],
  row: LabelledRow,
  look: Look,
): string[] =>
  checks.map(({ name, level }) =>
    row('', [
      piece(glyph('skipped', look), 'dim'),
      piece(` ${cleanLine(name)}`),
      piece(`  ${level ?? ''}  did not run: a required check before it had failed`, 'dim'),
    ]),
  )

function diagnosticRows({ diagnostics, diagnostics_total: total }: CheckRow, row: LabelledRow): string[] {
  const left = Math.max(total ?? 0, diagnostics.length) - Math.min(diagnostics.length, DIAGNOSTICS_SHOWN)
  return [
    ...diagnostics.slice(0, DIAGNOSTICS_SHOWN).map((found) => row('', `  ${diagnosticText(found)}`)),
    ...(left > 0 ? [row('', `  and ${count(left)} more in verification.json`)] : []),
  ]
}

/** `src/cart.ts:12:4  TS2304  Cannot find name 'x'`. */
function diagnosticText({ file, line, column, code, rule, message }: Diagnostic): string {
  const place = [file, line, column].filter((part) => part != null).join(':')
  return [place, code ?? rule, message]
    .map((part) => cleanLine(part ?? ''))
    .filter((part) => part !== '')
    .join('  ')
}

/** Only what the changes are of an attempt that looked at them. */
export function changeRows(changes: ChangesFile | undefined, hasDiff: boolean, row: LabelledRow): string[] {
  if (!changes) return []
  if (changes.source === 'unknown') return [row('changes', `unknown: ${cleanLine(changes.problem ?? '')}`)]
  const kinds = [
    ['created', changes.created],
    ['modified', changes.modified],
    ['deleted', changes.deleted],
  ] as const
  const counts = kinds.filter(([, paths]) => paths.length > 0).map(([word, paths]) => `${count(paths.length)} ${word}`)
  const commits = changes.commits.length
  if (commits > 0) counts.push(`${count(commits)} commit${commits === 1 ? '' : 's'}`)
  if (counts.length === 0) return [row('changes', 'none')]
  const paths = kinds.flatMap(([, list]) => list)
  const more = paths.length - PATHS_SHOWN
  const names = paths.slice(0, PATHS_SHOWN).map(cleanLine).join(', ')
  const rows = [row('changes', `${counts.join(', ')}${hasDiff ? ': --diff shows them' : ''}`)]
  if (names !== '') rows.push(row('', `${names}${more > 0 ? `, and ${count(more)} more` : ''}`))
  if (changes.overlapped)
    rows.push(row('', 'another attempt worked in the same directory: some of it may be its', 'warn'))
  return rows
}
