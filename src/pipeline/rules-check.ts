// Owns: the rules about `checks:` of a node: what each of them looks at, and where that is known.
import { createRequire } from 'node:module'
import type Picomatch from 'picomatch'
import { asList, asRaw, asStrings, type OutlineNode, type Raw, type Report } from './outline.ts'
import { checkJsonSchema } from './rules-json-schema.ts'
import type { Path } from './yaml-source.ts'

const CHECK_KINDS = ['run', 'files', 'forbid', 'scope', 'outputs'] as const

export function checkChecks(node: OutlineNode, report: Report): void {
  for (const [index, value] of asList(node.raw['checks']).entries()) {
    const check = asRaw(value)
    const path = [...node.path, 'checks', index]
    checkKind(check, path, report)
    checkPlace(node, check, path, report)
    for (const key of ['files', 'scope']) checkGlobs(check[key], [...path, key], report)
    checkForbid(check['forbid'], [...path, 'forbid'], report)
    if (check['outputs'] !== undefined) checkJsonSchema(check['outputs'], [...path, 'outputs'], report)
  }
}

function checkKind(check: Raw, path: Path, report: Report): void {
  const kinds = CHECK_KINDS.filter((key) => check[key] !== undefined)
  if (kinds.length === 1) return
  if (kinds.length === 0) {
    report.error('check-kind', path, 'this check looks at nothing', `give it exactly one of ${CHECK_KINDS.join(', ')}`)
  } else {
    report.error(
      'check-kind',
      [...path, kinds[1]!],
      `this check has ${kinds.length} kinds: ${kinds.join(', ')}`,
      'make a check of each',
    )
  }
}

/** What an attempt changed is known of run and agent nodes only, what it gave of kinds with attempts. */
function checkPlace({ kind }: OutlineNode, check: Raw, path: Path, report: Report): void {
  if (kind === undefined || kind === 'run' || kind === 'agent') return
  const key = ['forbid', 'scope', ...(kind === 'call' ? [] : ['outputs'])].find((name) => check[name] !== undefined)
  if (key === undefined) return
  const fix = kind === 'fanout' ? 'put it on the nodes inside' : 'use `run` or `files`'
  report.error(
    'check-place',
    [...path, key],
    `\`${key}\` looks at an attempt of a ${key === 'outputs' ? 'run, agent or call' : 'run or agent'} node; this is a ${kind} node`,
    fix,
  )
}

function checkForbid(forbid: unknown, path: Path, report: Report): void {
  if (forbid === undefined) return
  const { secrets, ...named } = asRaw(forbid)
  const { paths, patterns } = named
  if (Object.keys(named).length === 0 && secrets !== true) {
    report.error('check-kind', path, '`forbid` names nothing', 'give it paths, patterns or secrets: true')
  }
  checkGlobs(paths, [...path, 'paths'], report)
  for (const [index, pattern] of asStrings(patterns).entries()) {
    if (pattern.includes('${{')) {
      report.error(
        'expression',
        [...path, 'patterns', index],
        'expressions are not filled in inside a pattern',
        'write \\$ for a dollar sign',
      )
      continue
    }
    const problem = regExpProblem(pattern)
    if (problem !== undefined)
      report.error('wrong-value', [...path, 'patterns', index], `this is no JavaScript regular expression: ${problem}`)
  }
}

function regExpProblem(pattern: string): string | undefined {
  try {
    RegExp(pattern)
    return undefined
  } catch (error) {
    return (error as Error).message.replace(/^Invalid regular expression: /, '')
  }
}

function checkGlobs(globs: unknown, path: Path, report: Report): void {
  for (const [index, glob] of asStrings(globs).entries()) {
    if (glob.includes('${{')) continue
    const at = [...path, index]
    if (/^!?(?:\/|~|(?:\.\/)?\.\.(?:\/|$))/.test(glob)) {
      report.error(
        'wrong-value',
        at,
        `\`${glob}\` leads out of the working directory`,
        'write it relative to the working directory',
      )
    } else if (glob.startsWith('!')) {
      report.error('wrong-value', at, `\`${glob}\`: a glob cannot be turned round here`, 'list what is meant instead')
    } else if (glob.includes('\\')) {
      report.warning(
        'wrong-value',
        at,
        `\`${glob}\`: a backslash escapes the next character`,
        'separate directories by /',
      )
    } else if (!canMatch(glob)) {
      report.error('wrong-value', at, `\`${glob.slice(0, 60)}\` is no glob`)
    }
  }
}

function canMatch(glob: string): boolean {
  try {
    // Most pipelines have no globs, and the library is not small.
    const picomatch = createRequire(import.meta.url)('picomatch') as typeof Picomatch
    picomatch(glob)
    return true
  } catch {
    return false
  }
}
