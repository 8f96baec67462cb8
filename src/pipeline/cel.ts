// Owns: compiling CEL and what can be known of an expression without evaluating it: the status functions it calls,
// the nodes, variables and fields it reads. Must not: evaluate (expressions.ts does).
import { Environment, type ASTNode, type ParseResult } from '@marcbachmann/cel-js'
import { STATUS_FUNCTIONS, type ExpressionScope, type StatusFunction } from '../core/expressions.ts'

/** Which fields of a value an expression reads, so that only those are converted. `all` = the value as a whole. */
export interface Uses {
  all: boolean
  readonly fields: Map<string, Uses>
}

/** One place where an expression reads a variable: `nodes.plan.label` is root `nodes`, path `['plan', 'label']`. */
export interface Reference {
  readonly root: string
  /** The fields that are named literally. */
  readonly path: readonly string[]
  /** Offset of the reference in the expression's source. */
  readonly offset: number
}

export interface CompileError {
  readonly message: string
  /** Characters from the start of the expression. */
  readonly offset: number
}

export interface Compiled {
  /** Absent when the expression does not compile. */
  readonly program?: ParseResult
  readonly error?: CompileError
  /** The static type (`bool`, `string`, `dyn` …). */
  readonly type?: string
  readonly calls: readonly StatusFunction[]
  readonly references: readonly Reference[]
  readonly uses: ReadonlyMap<string, Uses>
}

const MACROS_WITH_VARIABLE = new Set(['map', 'filter', 'all', 'exists', 'exists_one'])
const CACHE_ENTRIES = 10_000
const MAX_AST_NODES = 10_000

/** The scope of the evaluation in progress; status functions are asked of it. Evaluation never suspends. */
let current: ExpressionScope | undefined

/** Runs `action` with status functions answered by `scope`. */
export function withScope<T>(scope: ExpressionScope, action: () => T): T {
  const outer = current
  current = scope
  try {
    return action()
  } finally {
    current = outer
  }
}

const environment = createEnvironment()
function createEnvironment(): Environment {
  const created = new Environment({
    unlistedVariablesAreDyn: true,
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: MAX_AST_NODES },
  })
  for (const name of STATUS_FUNCTIONS) {
    created.registerFunction(`${name}(): bool`, () => name === 'always' || (current?.status(name) ?? false), {
      async: false,
    })
  }
  return created
}

/** Names that CEL itself uses for types and namespaces; a variable of that name could never be read. */
export const isCelName = (name: string): boolean => environment.hasVariable(name)

/** Words that cannot stand as an identifier in CEL: an id among them is written `nodes["in"]`. */
export const CEL_KEYWORDS: ReadonlySet<string> = new Set([
  'in',
  'true',
  'false',
  'null',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
  'var',
  'void',
  'while',
])

const cache = new Map<string, Compiled>()

/** Compiles an expression; the last 10,000 are kept. Never throws: `error` says why it does not compile. */
export function compile(source: string): Compiled {
  const known = cache.get(source)
  if (known) return known
  const compiled = compileUncached(source)
  if (cache.size >= CACHE_ENTRIES) cache.delete(cache.keys().next().value!)
  cache.set(source, compiled)
  return compiled
}

function compileUncached(source: string): Compiled {
  const nothing = { calls: [], references: [], uses: new Map<string, Uses>() }
  if (source.trim() === '') return { ...nothing, error: { message: 'the expression is empty', offset: 0 } }
  let program: ParseResult
  try {
    program = environment.parse(source)
  } catch (error) {
    return { ...nothing, error: compileError(error) }
  }
  const found = { calls: new Set<StatusFunction>(), references: [] as Reference[], uses: new Map<string, Uses>() }
  walk(program.ast, new Set(), found)
  const facts = {
    calls: STATUS_FUNCTIONS.filter((name) => found.calls.has(name)),
    references: found.references,
    uses: found.uses,
  }
  const checked = program.check()
  if (!checked.valid) return { ...facts, error: compileError(checked.error) }
  return { ...facts, program, type: checked.type ?? 'dyn' }
}

function compileError(error: unknown): CompileError {
  if (!(error instanceof Error)) return { message: String(error), offset: 0 }
  const cel = error as Error & { summary?: string; range?: { start: number } }
  return { message: cel.summary ?? error.message.split('\n')[0] ?? 'does not compile', offset: cel.range?.start ?? 0 }
}

interface Found {
  readonly calls: Set<StatusFunction>
  readonly references: Reference[]
  readonly uses: Map<string, Uses>
}

function walk(node: ASTNode, bound: ReadonlySet<string>, found: Found): void {
  switch (node.op) {
    case 'value':
      return
    case 'id':
    case '.':
    case '[]':
      return walkAccess(node, bound, found)
    case 'call': {
      const [name, args] = node.args
      if (args.length === 0 && isStatusFunction(name)) found.calls.add(name)
      for (const arg of args) walk(arg, bound, found)
      return
    }
    case 'rcall': {
      const [name, receiver, args] = node.args
      walk(receiver, bound, found)
      const [first, ...rest] = args
      const binds =
        first?.op === 'id' && ((MACROS_WITH_VARIABLE.has(name) && rest.length > 0) || isBind(name, receiver))
      const inner = binds ? new Set([...bound, first.args]) : bound
      for (const arg of binds ? rest : args) walk(arg, inner, found)
      return
    }
    default:
      walkAll(node.args, bound, found)
  }
}

function walkAll(args: unknown, bound: ReadonlySet<string>, found: Found): void {
  if (Array.isArray(args)) for (const arg of args) walkAll(arg, bound, found)
  else if (typeof args === 'object' && args !== null && 'op' in args) walk(args as ASTNode, bound, found)
}

/** A chain of literal field names down to a variable; where an index is computed, the chain ends there. */
function walkAccess(node: ASTNode, bound: ReadonlySet<string>, found: Found): void {
  const path: string[] = []
  let at = node
  while (at.op === '.' || at.op === '[]') {
    if (at.op === '.') {
      path.unshift(at.args[1])
    } else {
      const index = at.args[1]
      if (index.op === 'value' && typeof index.args === 'string') path.unshift(index.args)
      else {
        walk(index, bound, found)
        path.length = 0
      }
    }
    at = at.args[0]
  }
  if (at.op !== 'id') return walk(at, bound, found)
  if (bound.has(at.args) || isCelName(at.args)) return
  found.references.push({ root: at.args, path, offset: at.start })
  let uses = usesOf(found.uses, at.args)
  for (const field of path) uses = usesOf(uses.fields, field)
  uses.all = true
}

function usesOf(map: Map<string, Uses>, name: string): Uses {
  let uses = map.get(name)
  if (!uses) map.set(name, (uses = { all: false, fields: new Map() }))
  return uses
}

const isBind = (name: string, receiver: ASTNode): boolean =>
  name === 'bind' && receiver.op === 'id' && receiver.args === 'cel'
const isStatusFunction = (name: string): name is StatusFunction =>
  (STATUS_FUNCTIONS as readonly string[]).includes(name)
