// Owns: `validate`: all problems of all given files. Exit 2 when there is an error, 0 when there are only warnings.
import { SpanwrightError } from '../../core/error.ts'
import type { Diagnostic } from '../../pipeline/diagnostic.ts'
import type { CommandFunction } from '../command-table.ts'
import { counted } from '../terminal/amounts.ts'
import { glyphPiece, paint, piece } from '../terminal/style.ts'
import { cleanLine } from '../terminal/text.ts'

export const validate: CommandFunction = async ({ args, options, output }) => {
  const files = args[0] as readonly string[]
  const { validatePipelineFile } = await import('../../pipeline/load.ts')
  const { renderDiagnostic } = await import('../../pipeline/diagnostic.ts')
  const found: Diagnostic[] = []
  for (const file of files) found.push(...(await problemsOf(file, validatePipelineFile)))
  const errors = found.filter(({ severity }) => severity === 'error').length
  if (options['json'] === true)
    output.json({ valid: errors === 0, files, problems: found.map((item) => ({ ...item, fix: item.fix ?? null })) })
  else {
    const { look } = output
    output.result(
      ...found.map((item) =>
        paint(
          [
            piece(item.severity, item.severity === 'error' ? 'bad' : 'warn'),
            piece(` ${cleanLine(renderDiagnostic(item))}`),
          ],
          look,
        ),
      ),
    )
    const warnings = found.length - errors
    const sum =
      errors > 0
        ? `${counted(errors, 'error')}${warnings > 0 ? `, ${counted(warnings, 'warning')}` : ''}`
        : `${counted(files.length, 'pipeline')} valid${warnings > 0 ? `, ${counted(warnings, 'warning')}` : ''}`
    output.say(
      paint(
        [glyphPiece(errors > 0 ? 'failure' : 'success', output.progressLook), piece(` ${sum}`)],
        output.progressLook,
      ),
    )
  }
  return errors > 0 ? 2 : 0
}

/** A file that is not there is a problem like any other: the others are looked at all the same. */
async function problemsOf(file: string, check: (file: string) => Promise<Diagnostic[]>): Promise<Diagnostic[]> {
  try {
    return await check(file)
  } catch (error) {
    if (!(error instanceof SpanwrightError) || error.code !== 'pipeline.not_found') throw error
    return [{ file, line: 1, column: 1, rule: 'file-not-found', severity: 'error', message: error.message }]
  }
}
