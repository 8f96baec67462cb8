// Owns: reading YAML text within bounds (size, nesting, alias expansion) and finding the line and column of a value.
// Must not: know what a pipeline is.
import {
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type Pair,
} from 'yaml'
import { LIMITS } from '../core/limits.ts'
import type { Diagnostic } from './diagnostic.ts'

export type Path = readonly PropertyKey[]
export interface Position {
  readonly line: number
  readonly column: number
}

/** A file's value and where its parts stand. */
export interface Source {
  readonly file: string
  readonly value: unknown
  /** Position of the value at `path`, or of its key; of the nearest existing part when there is none. */
  locate(path: Path, what?: 'key' | 'value'): Position
  /** Position of the n-th occurrence (from 0) of `text` inside the scalar at `path`; of the scalar when it is not found. */
  locateText(path: Path, text: string, nth: number): Position
}

/** A file that is one text (a prompt). */
export function textSource(file: string, text: string): Source {
  const at = (offset: number): Position => {
    const before = text.slice(0, Math.max(0, offset))
    return { line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') }
  }
  return {
    file,
    value: text,
    locate: () => at(0),
    locateText: (_, part, nth) => at(nthIndex(text, part, nth)),
  }
}

/** Offset of the n-th occurrence (from 0), or of the last one before it; -1 when there is none. */
function nthIndex(text: string, part: string, nth: number): number {
  let offset = -1
  for (let i = 0; i <= nth; i++) {
    const next = text.indexOf(part, offset + 1)
    if (next < 0) break
    offset = next
  }
  return offset
}

/** Depth that no pipeline within the limits can reach: nodes nest 16 deep, a few levels of mappings each. */
const MAX_VALUE_DEPTH = 128
/** After a few, syntax errors only follow from those before them. */
const MAX_SYNTAX_PROBLEMS = 20

/** Parses YAML. `source` is absent when nothing can be made of the text. Never throws. */
export function readYaml(file: string, text: string): { source?: Source; diagnostics: Diagnostic[] } {
  const counter = new LineCounter()
  const at = (offset: number): Position => {
    const { line, col } = counter.linePos(Math.max(0, offset))
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const problem = (rule: string, message: string, offset = 0, fix?: string): Diagnostic => ({
    file,
    ...at(offset),
    rule,
    severity: 'error',
    message,
    fix,
  })

  if (Buffer.byteLength(text) > LIMITS.pipelineBytes) {
    const message = `the file is larger than ${LIMITS.pipelineBytes} bytes`
    return {
      diagnostics: [
        {
          file,
          line: 1,
          column: 1,
          rule: 'file-size',
          severity: 'error',
          message,
          fix: 'move parts into child pipelines',
        },
      ],
    }
  }
  try {
    const document = parseDocument(text, {
      lineCounter: counter,
      merge: true,
      prettyErrors: false,
      stringKeys: false,
      // Warnings are read from the document; the parser must not print them.
      logLevel: 'error',
    })
    const faults = [...document.errors, ...document.warnings]
    // Where the parser gave up depends on the stack, so no place is given.
    if (faults.some((fault) => fault.code === 'RESOURCE_EXHAUSTION'))
      return { diagnostics: [problem('too-deep', 'the file nests too deep', 0, 'flatten it')] }
    if (faults.length > 0)
      return { diagnostics: faults.slice(0, MAX_SYNTAX_PROBLEMS).map((fault) => syntaxProblem(fault, problem)) }
    const value: unknown = document.toJS({ maxAliasCount: LIMITS.yamlAliases })
    const excess = excessOf(value)
    if (excess) return { diagnostics: [problem(excess.rule, excess.message, 0, excess.fix)] }
    return { source: documentSource({ file, text, value, document, at }), diagnostics: [] }
  } catch (error) {
    if (error instanceof ReferenceError) {
      return {
        diagnostics: [
          problem(
            'alias-expansion',
            `aliases may expand at most ${LIMITS.yamlAliases} times in all`,
            0,
            'write the repeated part out',
          ),
        ],
      }
    }
    if (error instanceof RangeError)
      return { diagnostics: [problem('too-deep', 'the file nests too deep', 0, 'flatten it')] }
    return { diagnostics: [problem('yaml-syntax', `cannot be read: ${(error as Error).message}`)] }
  }
}

function syntaxProblem(
  fault: { code: string; message: string; pos: [number, number] },
  problem: (rule: string, message: string, offset: number, fix?: string) => Diagnostic,
): Diagnostic {
  if (fault.code === 'DUPLICATE_KEY')
    return problem('duplicate-key', 'this key is already in the mapping', fault.pos[0], 'remove one of them')
  const multiple = fault.code === 'MULTIPLE_DOCS'
  const message = multiple ? 'the file holds several YAML documents, a pipeline is one' : fault.message.split('\n')[0]!
  return problem('yaml-syntax', message, fault.pos[0])
}

/** Aliases may make a small file large: what they expand to has the same bound as a file. */
function excessOf(value: unknown): { rule: string; message: string; fix: string } | undefined {
  let size = 0
  let tooDeep = false
  const visit = (item: unknown, depth: number): void => {
    size += typeof item === 'string' ? item.length + 1 : 1
    if (size > LIMITS.pipelineBytes || tooDeep) return
    if (typeof item !== 'object' || item === null) return
    if (depth > MAX_VALUE_DEPTH) {
      tooDeep = true
      return
    }
    for (const [key, inner] of Object.entries(item)) {
      size += Array.isArray(item) ? 0 : key.length
      visit(inner, depth + 1)
    }
  }
  visit(value, 0)
  if (tooDeep)
    return { rule: 'too-deep', message: `values nest deeper than ${MAX_VALUE_DEPTH} levels`, fix: 'flatten the file' }
  if (size <= LIMITS.pipelineBytes) return undefined
  return {
    rule: 'alias-expansion',
    message: `aliases expand the file to more than ${LIMITS.pipelineBytes} characters`,
    fix: 'write the repeated part out',
  }
}

interface Parsed {
  readonly file: string
  readonly text: string
  readonly value: unknown
  readonly document: Document
  readonly at: (offset: number) => Position
}

function documentSource({ file, text, value, document, at }: Parsed): Source {
  const find = (path: Path): { node: Node | null; key: Node | null } => {
    let node = resolve(document.contents, document)
    let key: Node | null = null
    for (const part of path) {
      const step = childOf(node, part, document)
      if (!step) break
      key = step.key
      node = step.value
    }
    return { node, key }
  }
  return {
    file,
    value,
    locate(path, what = 'value') {
      const { node, key } = find(path)
      const place = what === 'key' ? (key ?? node) : (node ?? key)
      return at(place?.range?.[0] ?? 0)
    },
    locateText(path, part, nth) {
      const range = find(path).node?.range
      if (!range) return at(0)
      const raw = text.slice(range[0], range[1])
      return at(range[0] + Math.max(0, nthIndex(raw, part, nth)))
    },
  }
}

function resolve(node: unknown, document: Document): Node | null {
  const target = isAlias(node) ? node.resolve(document) : node
  return isScalar(target) || isCollection(target) ? target : null
}

interface Step {
  readonly key: Node | null
  readonly value: Node | null
}

function childOf(node: Node | null, part: PropertyKey, document: Document): Step | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(part)]
    return item === undefined ? undefined : { key: item as Node, value: resolve(item, document) ?? (item as Node) }
  }
  if (!isMap(node)) return undefined
  for (const pair of node.items)
    if (keyOf(pair) === String(part)) return { key: pair.key as Node, value: resolve(pair.value, document) }
  for (const pair of node.items) {
    if (keyOf(pair) !== '<<') continue
    const sources = isSeq(pair.value) ? pair.value.items : [pair.value]
    for (const merged of sources) {
      const found = childOf(resolve(merged, document), part, document)
      if (found) return found
    }
  }
  return undefined
}

const keyOf = (pair: Pair): string | undefined =>
  isPair(pair) && isScalar(pair.key) ? String(pair.key.value) : undefined
