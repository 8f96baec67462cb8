// Owns: which files follow from the registry, and their text exactly as it is written to disk.
import { readFile } from 'node:fs/promises'
import { format, type OxfmtConfig } from 'oxfmt'
import { metricNamesText, namesText } from './constants.ts'
import { pageText } from './page.ts'
import type { Registry } from './registry.ts'

/** Path from the project's root → text. */
export async function generatedFiles(registry: Registry): Promise<Map<string, string>> {
  return new Map([
    ['src/telemetry/names.ts', await formatted('names.ts', namesText(registry))],
    ['src/telemetry/metric-names.ts', await formatted('metric-names.ts', metricNamesText(registry))],
    ['docs/telemetry.md', pageText(registry)],
  ])
}

async function formatted(name: string, text: string): Promise<string> {
  const file = new URL('../../.oxfmtrc.json', import.meta.url)
  const {
    $schema: _,
    ignorePatterns: __,
    ...options
  } = JSON.parse(await readFile(file, 'utf8')) as OxfmtConfig & {
    $schema?: string
    ignorePatterns?: string[]
  }
  const { code, errors } = await format(name, text, options)
  if (errors.length > 0) throw new Error(`${name} does not parse: ${errors[0]!.message}`)
  return code
}
