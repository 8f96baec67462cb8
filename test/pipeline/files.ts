// Pipeline files in a temporary folder, and their problems as text.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { renderDiagnostic } from '../../src/pipeline/diagnostic.ts'
import { parsePipelineFile, validatePipelineFile } from '../../src/pipeline/load.ts'

/** Writes files into a new folder that goes away with the test; gives its path. */
export async function folder(files: { readonly [name: string]: string }): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'spanwright-pipeline-'))
  onTestFinished(() => rm(made, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(made, name)), { recursive: true })
    await writeFile(path.join(made, name), text)
  }
  return made
}

/** The problems of `p.yaml` as `p.yaml:line:column rule message; fix`. */
export async function problemsOf(text: string, others: { readonly [name: string]: string } = {}): Promise<string[]> {
  const cwd = await folder({ 'p.yaml': text, ...others })
  return (await validatePipelineFile('p.yaml', { cwd })).map(renderDiagnostic)
}

/** The model of `p.yaml`. */
export async function parsed(text: string, others: { readonly [name: string]: string } = {}) {
  const cwd = await folder({ 'p.yaml': text, ...others })
  return parsePipelineFile('p.yaml', { cwd })
}
