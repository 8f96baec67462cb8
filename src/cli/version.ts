// Owns: what version this is. Must import nothing: `--version` has to answer at once.
import { readFileSync } from 'node:fs'

/** Version of the installed package. */
export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}

export function printVersion(): number {
  process.stdout.on('error', () => {})
  process.stdout.write(`${packageVersion()}\n`)
  return 0
}
