// Owns: `--params FILE`: a YAML or JSON file with one value per param.
import { readFile } from 'node:fs/promises'
import { SpanwrightError } from '../core/error.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'

/** The params in a file. Throws `params.invalid` when it cannot be read or is no mapping. */
export async function readParamsFile(file: string): Promise<JsonObject> {
  const fail = (problem: string, cause?: unknown): never => {
    throw new SpanwrightError(
      'params.invalid',
      `params file ${file} ${problem}: give a YAML or JSON file with one value per param`,
      { cause },
    )
  }
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) =>
    fail(error.code === 'ENOENT' ? 'does not exist' : `cannot be read (${error.code ?? error.message})`, error),
  )
  if (Buffer.byteLength(text) > LIMITS.pipelineBytes) fail(`is larger than ${LIMITS.pipelineBytes} bytes`)
  const { parseDocument } = await import('yaml')
  const document = parseDocument(text)
  const [problem] = document.errors
  if (problem) fail(`is no valid YAML (${problem.message.split('\n')[0]})`)
  const value = toValue(document, fail)
  return isJsonObject(value) ? value : fail('is no mapping of names to values')
}

function toValue(
  document: { toJS(options: { maxAliasCount: number }): unknown },
  fail: (problem: string, cause: unknown) => never,
): unknown {
  try {
    return document.toJS({ maxAliasCount: LIMITS.yamlAliases })
  } catch (error) {
    return fail(`cannot be read (${error instanceof Error ? error.message : String(error)})`, error)
  }
}
