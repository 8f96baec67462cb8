// Owns: where the compose file of the stack is and what `.env` beside it says. Starts nothing.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import { SpanwrightError } from '../../core/error.ts'

const NAME = 'docker-compose.yml'

/** The compose file: `given` (a path, from the working directory), else the one that comes with this package. */
export function composeFile(given: string | undefined): string {
  if (given !== undefined) {
    const file = path.resolve(given)
    if (existsSync(file)) return file
    throw new SpanwrightError(
      'stack.file_missing',
      `no compose file ${given}: --file names the docker-compose.yml of the stack`,
    )
  }
  const file = packagedFile()
  if (file !== undefined) return file
  throw new SpanwrightError(
    'stack.file_missing',
    `this installation has no ${NAME}: install the package again, or name the file with --file`,
  )
}

/** Upward from this file, as it lies deeper in the sources than in the bundle; not beyond the package. */
function packagedFile(): string | undefined {
  for (let directory = path.dirname(fileURLToPath(import.meta.url)); ; directory = path.dirname(directory)) {
    const file = path.join(directory, NAME)
    if (existsSync(file)) return file
    if (existsSync(path.join(directory, 'package.json')) || path.dirname(directory) === directory) return undefined
  }
}

/** A variable of `.env`; the environment goes before it, as compose has it. */
export type StackSettings = (name: string) => string | undefined

/** What is set for the stack of `file` (none: there is no such file, only the environment counts). */
export function stackSettings(file: string | undefined, env: NodeJS.ProcessEnv = process.env): StackSettings {
  const beside = file === undefined ? undefined : path.join(path.dirname(file), '.env')
  const lines = beside !== undefined && existsSync(beside) ? parseEnv(readFileSync(beside, 'utf8')) : {}
  return (name) => env[name] || lines[name]
}

/** The compose file if there is one; `stack status` works without it. */
export function composeFileIfAny(given: string | undefined): string | undefined {
  return given === undefined ? packagedFile() : composeFile(given)
}
