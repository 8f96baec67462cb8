// Owns: a pipeline file and everything it names (prompts, child pipelines) from disk to the model, with all problems at
// once. Must not: know rules or syntax itself (rules-*.ts, schema*.ts, yaml-source.ts, definition.ts do).
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { CallFunction } from '../core/call.ts'
import { SpanwrightError } from '../core/error.ts'
import type { Json } from '../core/json.ts'
import { LIMITS } from '../core/limits.ts'
import type { Pipeline } from '../core/pipeline.ts'
import { isPipelineDefinition, type PipelineDefinition } from './builder.ts'
import { camelCase, definitionSource, isTooDeep } from './definition.ts'
import { didYouMean, inOrder, renderDiagnostic, type Diagnostic } from './diagnostic.ts'
import { checkExpressions, checkPrompt } from './rules-expressions.ts'
import { checkGraph } from './rules-graph.ts'
import { checkNodes } from './rules-node.ts'
import { hashPipeline } from './hash.ts'
import { normalize, pathKey } from './normalize.ts'
import { asRaw, outlineOf, Report, scopesOf, type Outline, type OutlineNode } from './outline.ts'
import { isOfType } from './params.ts'
import { checkShape } from './schema-issues.ts'
import { readYaml, type Source } from './yaml-source.ts'

export interface ParsedPipeline {
  readonly pipeline: Pipeline
  /** sha256 of the meaning: the normalized pipeline and the sources of its functions. */
  readonly hash: string
  readonly warnings: readonly Diagnostic[]
  /** The functions of `call` nodes by `call.name`. */
  readonly functions: ReadonlyMap<string, CallFunction>
}

export interface LoadOptions {
  /** Where relative paths start; default: the working directory. */
  readonly cwd?: string | undefined
}

/**
 * Loads a pipeline file (YAML, or TypeScript/JavaScript with a default export made by `pipeline()`).
 * Throws `pipeline.not_found`, or `pipeline.invalid` with one line per problem in `details`.
 */
export async function parsePipelineFile(file: string, options: LoadOptions = {}): Promise<ParsedPipeline> {
  return concluded(file, await loadRoot(file, options))
}

/** All problems of a pipeline file, errors and warnings, in file order. Throws `pipeline.not_found` when there is none. */
export async function validatePipelineFile(file: string, options: LoadOptions = {}): Promise<Diagnostic[]> {
  return (await loadRoot(file, options)).diagnostics
}

/** A definition made by `pipeline()` in this process; its files are relative to `options.cwd`. */
export async function parseDefinition(
  definition: PipelineDefinition,
  options: LoadOptions = {},
): Promise<ParsedPipeline> {
  const file = `pipeline ${definition.name}`
  const absolute = path.resolve(options.cwd ?? '.', 'pipeline.ts')
  const { source, functions } = definitionSource(file, definition)
  const loaded = await new Loader().check(
    { source, functions, typescript: true },
    { file, absolute, above: [], prefix: '' },
  )
  return concluded(file, loaded)
}

function concluded(file: string, { pipeline, diagnostics, functions }: Loaded): ParsedPipeline {
  const errors = diagnostics.filter((item) => item.severity === 'error')
  if (!pipeline) {
    const details = errors.map(renderDiagnostic)
    const message =
      details.length === 1
        ? `invalid pipeline: ${details[0]}`
        : `invalid pipeline: ${file} has ${details.length} problems`
    throw new SpanwrightError('pipeline.invalid', message, { details })
  }
  return { pipeline, hash: hashPipeline(pipeline, functions), warnings: diagnostics, functions }
}

interface Place {
  /** As shown in diagnostics. */
  readonly file: string
  readonly absolute: string
  /** The files that lead here, for cycles and depth. */
  readonly above: readonly string[]
  /** Before the names of functions. */
  readonly prefix: string
}
interface Read {
  readonly source: Source
  readonly functions: Map<string, CallFunction>
  readonly typescript: boolean
}
interface Loaded {
  /** Absent when there are errors. */
  readonly pipeline?: Pipeline
  readonly diagnostics: Diagnostic[]
  readonly functions: Map<string, CallFunction>
  /** The file's own `params`, for its parent. */
  readonly params?: unknown
}

const MODULE = /\.(?:ts|mts|js|mjs)$/
const DOT = /\.(?:dot|gv)$/

async function loadRoot(file: string, { cwd }: LoadOptions): Promise<Loaded> {
  const absolute = path.resolve(cwd ?? '.', file)
  const problem = await unreadable(absolute)
  if (problem)
    throw new SpanwrightError(
      'pipeline.not_found',
      `pipeline file ${file} ${problem}; give the path of a YAML or TypeScript pipeline`,
    )
  return new Loader().load({ file, absolute, above: [], prefix: '' })
}

/** Why a path cannot be read as a file; undefined when it can. */
async function unreadable(absolute: string): Promise<string | undefined> {
  try {
    return (await stat(absolute)).isFile() ? undefined : 'is not a regular file'
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'does not exist' : `cannot be read (${code ?? 'unknown error'})`
  }
}

class Loader {
  async load(place: Place): Promise<Loaded> {
    const read = await this.#read(place)
    return Array.isArray(read) ? { diagnostics: read, functions: new Map() } : this.check(read, place)
  }

  async #read({ file, absolute, prefix }: Place): Promise<Read | Diagnostic[]> {
    const fail = (rule: string, message: string, fix?: string): Diagnostic[] => [
      { file, line: 1, column: 1, rule, severity: 'error', message, fix },
    ]
    if (DOT.test(absolute))
      return fail(
        'syntax-unsupported',
        'DOT pipelines are not in this version',
        'write the pipeline in YAML or TypeScript',
      )
    if (!MODULE.test(absolute)) return this.#readYaml(file, absolute, fail)
    try {
      const module = (await import(/* @vite-ignore */ pathToFileURL(absolute).href)) as { default?: unknown }
      if (!isPipelineDefinition(module.default)) {
        return fail(
          'module-export',
          'the default export is not a pipeline',
          "write `export default pipeline({ … })` with pipeline from 'spanwright'",
        )
      }
      return { ...definitionSource(file, module.default, prefix), typescript: true }
    } catch (error) {
      return fail(
        'module-load',
        `the module cannot be loaded: ${(error instanceof Error ? error.message : String(error)).split('\n')[0]}`,
      )
    }
  }

  async #readYaml(
    file: string,
    absolute: string,
    fail: (rule: string, message: string, fix?: string) => Diagnostic[],
  ): Promise<Read | Diagnostic[]> {
    try {
      if ((await stat(absolute)).size > LIMITS.pipelineBytes) {
        return fail(
          'file-size',
          `the file is larger than ${LIMITS.pipelineBytes} bytes`,
          'move parts into child pipelines',
        )
      }
      const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(absolute))
      const { source, diagnostics } = readYaml(file, text)
      return source ? { source, functions: new Map(), typescript: false } : diagnostics
    } catch (error) {
      const reason = error instanceof TypeError ? 'is not UTF-8 text' : `cannot be read: ${(error as Error).message}`
      return fail('file-unreadable', `the file ${reason}`)
    }
  }

  /** Runs every rule over a file and what it names; the pipeline is made only when there is no error. */
  async check({ source, functions, typescript }: Read, place: Place): Promise<Loaded> {
    const report = new Report(source)
    if (typescript && isTooDeep(source.value)) {
      report.error('too-deep', [], 'the definition nests too deep or contains itself', 'make it of plain data')
      return { diagnostics: report.diagnostics, functions }
    }
    const outline = outlineOf(source, report)
    if (!outline) return { diagnostics: inOrder(report.diagnostics), functions }
    const shape = checkShape(source, typescript ? camelCase : (key) => key)
    checkGraph(outline, report)
    checkNodes(outline, report, typescript)
    checkExpressions(outline, report)
    const embedding = new Embedding(this, { outline, report, place })
    for (const node of nodesOf(outline)) await embedding.add(node)
    const diagnostics = inOrder([...shape.diagnostics, ...report.diagnostics, ...embedding.diagnostics])
    for (const [name, call] of embedding.functions) functions.set(name, call)
    const params = outline.raw['params']
    if (!shape.file || diagnostics.some((item) => item.severity === 'error')) return { diagnostics, functions, params }
    return { pipeline: normalize(shape.file, embedding), diagnostics, functions, params }
  }
}

function* nodesOf(outline: Outline): Generator<OutlineNode> {
  for (const scope of scopesOf(outline.root)) yield* scope.nodes
}

/** Loads the files that nodes name. */
class Embedding {
  readonly prompts = new Map<string, string>()
  readonly children = new Map<string, Pipeline>()
  readonly functions = new Map<string, CallFunction>()
  readonly diagnostics: Diagnostic[] = []
  readonly #loader: Loader
  readonly #outline: Outline
  readonly #report: Report
  readonly #place: Place
  constructor(loader: Loader, { outline, report, place }: { outline: Outline; report: Report; place: Place }) {
    this.#loader = loader
    this.#outline = outline
    this.#report = report
    this.#place = place
  }

  async add(node: OutlineNode): Promise<void> {
    const prompt = asRaw(node.raw['agent'])['prompt_file']
    if (typeof prompt === 'string') await this.#addPrompt(node, prompt)
    const child = asRaw(node.raw['child'])['file']
    if (typeof child === 'string' && node.raw['child'] !== undefined) await this.#addChild(node, child)
  }

  #resolve(file: string): string {
    return path.resolve(path.dirname(this.#place.absolute), file)
  }

  async #addPrompt(node: OutlineNode, file: string): Promise<void> {
    const at = [...node.path, 'agent', 'prompt_file']
    const absolute = this.#resolve(file)
    const problem = await unreadable(absolute)
    if (problem)
      return this.#report.error(
        'file-missing',
        at,
        `prompt file \`${file}\` ${problem}`,
        'paths are relative to the pipeline file',
      )
    if ((await stat(absolute)).size > LIMITS.pipelineBytes) {
      return this.#report.error('file-size', at, `prompt file \`${file}\` is larger than ${LIMITS.pipelineBytes} bytes`)
    }
    const text = await readFile(absolute, 'utf8')
    this.prompts.set(pathKey(node.path), text)
    this.diagnostics.push(...checkPrompt(this.#outline, node, path.join(path.dirname(this.#place.file), file), text))
  }

  async #addChild(node: OutlineNode, file: string): Promise<void> {
    const at = [...node.path, 'child', 'file']
    const { above, absolute: own, prefix } = this.#place
    const absolute = this.#resolve(file)
    const chain = [...above, own]
    const problem = await unreadable(absolute)
    if (problem)
      return this.#report.error(
        'child-missing',
        at,
        `child pipeline \`${file}\` ${problem}`,
        'paths are relative to the pipeline file',
      )
    if (chain.includes(absolute)) {
      const names = [...chain.slice(chain.indexOf(absolute)), absolute].map((item) => path.basename(item)).join(' → ')
      return this.#report.error('child-cycle', at, `child pipelines go in a circle: ${names}`, 'use routes for loops')
    }
    if (chain.length > LIMITS.childDepth)
      return this.#report.error('child-depth', at, `child pipelines nest deeper than ${LIMITS.childDepth} levels`)
    const loaded = await this.#loader.load({
      file: path.join(path.dirname(this.#place.file), file),
      absolute,
      above: chain,
      prefix: `${prefix}${scopedId(node)}/`,
    })
    this.diagnostics.push(...loaded.diagnostics)
    for (const [name, call] of loaded.functions) this.functions.set(name, call)
    if (loaded.pipeline) this.children.set(pathKey(node.path), loaded.pipeline)
    this.#checkParams(node, asRaw(loaded.params), file)
  }

  #checkParams(node: OutlineNode, declared: { readonly [name: string]: unknown }, file: string): void {
    const given = asRaw(asRaw(node.raw['child'])['params'])
    const at = [...node.path, 'child']
    for (const [name, value] of Object.entries(given)) {
      const { type } = asRaw(Object.hasOwn(declared, name) ? declared[name] : undefined)
      if (type === undefined) {
        this.#report.error(
          'child-params',
          [...at, 'params', name],
          `${file} has no param \`${name}\`${didYouMean(name, Object.keys(declared))}`,
        )
      } else if (typeof type === 'string' && !JSON.stringify(value).includes('${{') && !isOfType(value as Json, type)) {
        this.#report.error(
          'child-params',
          [...at, 'params', name],
          `param \`${name}\` of ${file} is declared as ${type}, this value is not`,
        )
      }
    }
    for (const [name, param] of Object.entries(declared)) {
      const { default: fallback, required } = asRaw(param)
      if (fallback === undefined && required !== false && !Object.hasOwn(given, name)) {
        this.#report.error('child-params', at, `${file} needs param \`${name}\``, `add params: { ${name}: … }`)
      }
    }
  }
}

/** Ids of a node and the fan-outs around it, joined by `/`. */
function scopedId(node: OutlineNode): string {
  const parent = node.scope.parent
  const key =
    parent && asRaw(asRaw(parent.raw['fanout'])['branches']) && node.scope.path.at(-2) === 'branches'
      ? `:${String(node.scope.path.at(-1))}`
      : ''
  return parent ? `${scopedId(parent)}${key}/${node.id}` : node.id
}
