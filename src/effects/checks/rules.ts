// Owns: checks that need no command: required files, forbidden changes, the scope of changes, the schema of outputs. They
// read files and changes.json and say what is wrong by path and line, never by what the text was.
import { realpathSync, statSync } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { join, sep } from 'node:path'
import picomatch from 'picomatch'
import type { FailureReport } from '../../core/failure.ts'
import type { JsonObject } from '../../core/json.ts'
import type { Rule } from '../../core/pipeline.ts'
import type { ChangeLists, Changes } from '../changes/changes.ts'
import { misfit } from '../json-schema.ts'
import { reason, shortened } from '../reason.ts'
import { statusLocations } from '../step-files.ts'
import type { Diagnostic } from './diagnostics.ts'

export interface RuleGround {
  readonly runId: string
  readonly cwd: string
  /** Of the attempt; undefined = nothing is known. */
  readonly changes: Changes | undefined
  readonly outputs: JsonObject
  /** Position of the check in its node. */
  readonly index: number
}

export interface Verdict {
  /** Absent = passed. */
  readonly failure?: FailureReport | undefined
  readonly diagnostics: readonly Diagnostic[]
}

/** Paths named in a message; details and diagnostics hold more. */
const NAMED = 3
const LISTED = 50
/** Files looked at for the globs of required ones. */
const MAX_FILES = 20_000
const DOT = { dot: true } as const

/** @param rule its expressions filled in */
export async function runRule(rule: Rule, ground: RuleGround): Promise<Verdict> {
  if ('required_files' in rule) return requiredFiles(rule.required_files, ground.cwd)
  if ('outputs_schema' in rule) return outputsFit(rule.outputs_schema, ground.outputs)
  const changes = knownChanges(ground.changes)
  if ('failure' in changes) return { failure: changes.failure, diagnostics: [] }
  return 'scope' in rule
    ? inScope(rule.scope, changes.known, ground.runId)
    : nothingForbidden(rule.forbidden, changes.known, ground.index)
}

const failed = (message: string, details: JsonObject = {}): FailureReport =>
  reason('check_failed', message, 'check', details)
const passed: Verdict = { diagnostics: [] }

/** All that the attempts of the visit changed together. */
interface Known extends ChangeLists {
  readonly overlapped: boolean
}

function knownChanges(changes: Changes | undefined): { readonly known: Known } | { readonly failure: FailureReport } {
  const known = changes && { ...(changes.visit ?? changes), overlapped: changes.overlapped }
  const problem = known ? known.problem : 'it left no changes.json'
  if (known && problem === undefined) return { known }
  return { failure: reason('workspace_error', `what the attempt changed is not known: ${problem}`, 'check') }
}

// -- required files

async function requiredFiles(globs: readonly string[], cwd: string): Promise<Verdict> {
  const problems: string[] = []
  for (const glob of globs) {
    const problem = picomatch.scan(glob).isGlob ? await missingMatch(glob, cwd) : fileProblem(cwd, glob)
    if (problem !== undefined) problems.push(`${glob} ${problem}`)
  }
  if (problems.length === 0) return passed
  return {
    failure: failed(`required files: ${enumerated(problems)}`, { files: problems.slice(0, LISTED) }),
    diagnostics: [],
  }
}

/** What is wrong with a file that must be there; undefined when nothing is. A link counts if it stays inside. */
function fileProblem(cwd: string, path: string): string | undefined {
  try {
    const real = realpathSync(join(cwd, path))
    const root = realpathSync(cwd)
    if (real !== root && !real.startsWith(root + sep)) return 'leads out of the working directory'
    const stat = statSync(real)
    if (!stat.isFile()) return stat.isDirectory() ? 'is a directory' : 'is not a regular file'
    return stat.size === 0 ? 'is empty' : undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'is missing'
    return `cannot be read (${code ?? (error as Error).message})`
  }
}

async function missingMatch(glob: string, cwd: string): Promise<string | undefined> {
  const matches = picomatch(glob, DOT)
  const { base } = picomatch.scan(glob)
  let seen = 0
  let problem = 'matches no file'
  for await (const path of walk(cwd, base === '.' ? '' : base, glob.includes('node_modules'))) {
    if (++seen > MAX_FILES) return `was not looked for among more than ${MAX_FILES} files; name a directory`
    if (!matches(path)) continue
    const wrong = fileProblem(cwd, path)
    if (wrong === undefined) return undefined
    problem = `matches no good file: ${path} ${wrong}`
  }
  return problem
}

/** Paths below a directory; links are not followed. */
async function* walk(root: string, below: string, packages: boolean): AsyncGenerator<string> {
  const entries = await opendir(join(root, below)).catch(() => undefined)
  if (!entries) return
  for await (const entry of entries) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (!entry.isDirectory()) yield path
    else if (entry.name !== '.git' && (packages || entry.name !== 'node_modules')) yield* walk(root, path, packages)
  }
}

// -- what the attempt changed

const allOf = ({ created, modified, deleted }: Known): [path: string, how: string][] => [
  ...created.map((path): [string, string] => [path, 'created']),
  ...modified.map((path): [string, string] => [path, 'changed']),
  ...deleted.map((path): [string, string] => [path, 'deleted']),
]

function inScope(globs: readonly string[], changes: Known, runId: string): Verdict {
  const inside = picomatch([...globs, ...statusLocations(runId)], DOT)
  const outside = allOf(changes).filter(([path]) => !inside(path))
  if (outside.length === 0) return complete(changes)
  const named = outside.map(([path, how]) => `${path} was ${how}`)
  const message = `outside of the scope (${shortened(globs.join(', '), 200)}): ${enumerated(named)}${alsoOthers(changes)}`
  return { failure: failed(message, { files: outside.slice(0, LISTED).map(([path]) => path) }), diagnostics: [] }
}

function nothingForbidden(
  { paths, patterns, secrets }: Extract<Rule, { forbidden: unknown }>['forbidden'],
  changes: Known,
  index: number,
): Verdict {
  const isForbidden = picomatch([...paths], DOT)
  const ignored = changes.ignored.map((path): [string, string] => [path, 'changed'])
  const touched = paths.length === 0 ? [] : [...allOf(changes), ...ignored].filter(([path]) => isForbidden(path))
  const found = changes.findings.filter(({ check }) => check === index)
  const named = [
    ...touched.map(([path, how]) => `${path} was ${how}`),
    ...found.map(({ path, line, what }) => `${path}:${line} ${textOf(what, patterns)}`),
  ]
  if (named.length > 0) {
    const diagnostics = found.map(({ path, line, what }): Diagnostic => ({
      file: path,
      line,
      severity: 'error',
      message: textOf(what, patterns),
    }))
    const files = [...new Set([...touched.map(([path]) => path), ...found.map(({ path }) => path)])]
    return {
      failure: failed(`forbidden: ${enumerated(named)}${alsoOthers(changes)}`, { files: files.slice(0, LISTED) }),
      diagnostics,
    }
  }
  if ((patterns.length > 0 || secrets) && !changes.scanned) {
    return {
      failure: failed('more was added than can be looked through for forbidden text; forbid it by a command'),
      diagnostics: [],
    }
  }
  return paths.length > 0 ? complete(changes) : passed
}

const textOf = (what: string, patterns: readonly string[]): string =>
  patterns.includes(what) ? `matches ${shortened(what, 100)}` : `holds what looks like a secret (${what})`

/** A list that was cut says nothing about the rest. */
const complete = ({ truncated, total }: Known): Verdict =>
  truncated
    ? {
        failure: failed(`the attempt changed ${total} files, more than are listed: not all could be checked`),
        diagnostics: [],
      }
    : passed

const alsoOthers = ({ overlapped }: Known): string =>
  overlapped ? ' (another attempt worked in the same directory at the same time)' : ''

function outputsFit(schema: JsonObject, outputs: JsonObject): Verdict {
  const problem = misfit(schema, outputs)
  if (problem === undefined) return passed
  return {
    failure: reason('invalid_output', `the outputs do not fit the schema: ${problem}`, 'check', {
      outputs: Object.keys(outputs).slice(0, LISTED),
    }),
    diagnostics: [],
  }
}

const enumerated = (items: readonly string[]): string =>
  items.slice(0, NAMED).join('; ') + (items.length > NAMED ? `; and ${items.length - NAMED} more` : '')
