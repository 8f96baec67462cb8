// Owns: one YAML file of the registry, parsed, with the place of every fault: file:line:column.
import { LineCounter, parseDocument, type Document } from 'yaml'
import { FILES, type FileContent, type FileName } from './schema.ts'

export type RegistryTexts = { readonly [F in FileName]: string }

export interface Parsed<F extends FileName> {
  readonly content: FileContent[F]
  /** Says what is wrong at a path of the file. */
  readonly fault: (path: readonly PropertyKey[], message: string) => void
}
export type Files = { readonly [F in FileName]: Parsed<F> }

/** The content of a file in its right form; undefined when it is not, with what is wrong added to `faults`. */
export function parseFile<F extends FileName>(name: F, texts: RegistryTexts, faults: string[]): Parsed<F> | undefined {
  const lines = new LineCounter()
  const document = parseDocument(texts[name], { lineCounter: lines })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${name}.yaml:${line}:${col}`
  }
  for (const error of document.errors) faults.push(`${at(error.pos[0])} ${error.message.split('\n')[0]}`)
  if (document.errors.length > 0) return undefined
  const fault = (path: readonly PropertyKey[], message: string): void => {
    faults.push(`${at(offsetOf(document, path))} ${message}`)
  }
  const parsed = FILES[name].safeParse(document.toJS())
  if (parsed.success) return { content: parsed.data as FileContent[F], fault }
  for (const issue of parsed.error.issues) fault(issue.path, issue.message)
  return undefined
}

/** Where the node at `path` begins, or the nearest one above it that is there. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as { range?: [number, number, number] } | undefined
    if (node?.range) return node.range[0]
  }
  return 0
}
