// What is generated from the registry is what stands in the repository.
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { generatedFiles } from '../../scripts/registry/generate.ts'
import { readRegistry } from '../../scripts/registry/registry.ts'

const onDisk = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')

test('the generated files are up to date (npm run registry)', async () => {
  for (const [path, text] of await generatedFiles(readRegistry()))
    expect([path, await onDisk(path)]).toEqual([path, text])
})
