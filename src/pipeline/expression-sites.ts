// Owns: where in a pipeline file expressions stand, and what each of them may see. Must not: judge them
// (rules-expressions.ts does).
import { HOOK_EVENTS } from '../core/pipeline.ts'
import { asList, asRaw, scopesOf, type Outline, type OutlineNode, type OutlineScope, type Raw } from './outline.ts'
import { compileShell } from './shell.ts'
import type { ShellProblem } from './shell-cursor.ts'
import type { Path } from './yaml-source.ts'

export interface ExpressionSite {
  readonly source: string
  /** The string in the file it stands in. */
  readonly path: Path
  /** Which occurrence of `source` in that string. */
  readonly nth: number
  readonly scope: OutlineScope
  /** The node it belongs to; absent for the head of the file. */
  readonly node: OutlineNode | undefined
  /** `result label failure` of the node (or run) are known. */
  readonly outcome: boolean
  /** Names beyond those of the scope. */
  readonly extra: readonly string[]
  /** It decides something: its value must be true or false. */
  readonly condition: boolean
}

export interface ShellSite {
  readonly problem: ShellProblem
  readonly path: Path
  readonly text: string
}

interface Place {
  readonly scope: OutlineScope
  readonly node?: OutlineNode
  readonly outcome?: boolean
  readonly extra?: readonly string[]
}

const EXPRESSION = /\$\{\{([\s\S]*?)\}\}/g
const SHELL_PROGRAM = /(?:^|\/)(?:ba|da|z|k|a)?sh$/

/** All expressions of a file and the problems of its shell scripts. */
export function sitesOf(outline: Outline): { expressions: ExpressionSite[]; shell: ShellSite[]; unclosed: Path[] } {
  const collector = new SiteCollector()
  collector.head(outline)
  for (const scope of scopesOf(outline.root)) for (const node of scope.nodes) collector.node(node)
  return collector
}

/** The expressions of a text that belongs to a node and stands in a file of its own. */
export function sitesOfText(text: string, node: OutlineNode): { expressions: ExpressionSite[]; unclosed: boolean } {
  const collector = new SiteCollector()
  collector.text(text, node)
  return { expressions: collector.expressions, unclosed: collector.unclosed.length > 0 }
}

/** `e` of `${{ e }}` where a condition was written that way. */
export function conditionOf(text: string): string {
  const whole = /^\s*\$\{\{([\s\S]*?)\}\}\s*$/.exec(text)
  return (whole && !whole[1]!.includes('${{') ? whole[1]! : text).trim()
}

class SiteCollector {
  readonly expressions: ExpressionSite[] = []
  readonly shell: ShellSite[] = []
  readonly unclosed: Path[] = []

  head({ root, raw }: Outline): void {
    const scope = root
    this.#templates(asRaw(raw['defaults'])['env'], ['defaults', 'env'], { scope })
    this.#templates(raw['outputs'], ['outputs'], { scope, outcome: true })
    this.#hooks(raw, [], { scope, outcome: true }, 'sh')
  }

  text(text: string, node: OutlineNode): void {
    this.#strings(text, [], { scope: node.scope, node })
  }

  node(node: OutlineNode): void {
    const { raw, path, scope } = node
    const place = { scope, node }
    const shell = raw['shell'] === 'bash' ? 'bash' : 'sh'
    this.#condition(raw['when'], [...path, 'when'], place)
    for (const route of node.routes) this.#condition(route.when, [...route.path, 'when'], { ...place, outcome: true })
    this.#command(raw['run'], [...path, 'run'], place, shell)
    for (const key of ['env', 'cwd', 'gate', 'wait']) this.#templates(raw[key], [...path, key], place)
    this.#agent(asRaw(raw['agent']), [...path, 'agent'], place, shell)
    this.#templates(asRaw(raw['child'])['params'], [...path, 'child', 'params'], place)
    for (const [index, check] of asList(raw['checks']).entries()) {
      const { run, files, scope, forbid } = asRaw(check)
      const at = [...path, 'checks', index]
      this.#command(run, [...at, 'run'], { ...place, outcome: true }, shell)
      this.#templates({ files, scope, forbid: { paths: asRaw(forbid)['paths'] } }, at, { ...place, outcome: true })
    }
    this.#hooks(raw, path, { ...place, outcome: true }, shell)
    this.#fanout(asRaw(raw['fanout']), [...path, 'fanout'], place)
  }

  /** Its commands are scripts like those of `run`; its schema is data. */
  #agent(
    { command, output_schema: _, fallback, escalate, ...agent }: Raw,
    path: Path,
    place: Place,
    shell: 'sh' | 'bash',
  ): void {
    this.#templates(agent, path, place)
    this.#command(command, [...path, 'command'], place, shell)
    for (const [index, other] of asList(fallback).entries())
      this.#agent(asRaw(other), [...path, 'fallback', index], place, shell)
    if (escalate !== undefined) this.#agent(asRaw(escalate), [...path, 'escalate'], place, shell)
  }

  #fanout(fanout: Raw, path: Path, place: Place): void {
    for (const key of ['each', 'count', 'matrix']) this.#templates(fanout[key], [...path, key], place)
    const as = typeof fanout['as'] === 'string' ? [fanout['as']] : []
    this.#templates(fanout['key'], [...path, 'key'], { ...place, extra: [...as, 'item'] })
  }

  #hooks(raw: Raw, path: Path, place: Place, shell: 'sh' | 'bash'): void {
    for (const event of HOOK_EVENTS) {
      for (const [index, hook] of asList(asRaw(raw['hooks'])[event]).entries()) {
        const at = [...path, 'hooks', event, index]
        if (typeof hook === 'string' || Array.isArray(hook)) this.#command(hook, at, place, shell)
        else this.#command(asRaw(hook)['run'], [...at, 'run'], place, shell)
      }
    }
  }

  #command(run: unknown, path: Path, place: Place, shell: 'sh' | 'bash'): void {
    if (Array.isArray(run)) {
      this.#templates(run, path, place)
      this.#shellArguments(run, path)
    } else if (typeof run === 'string') {
      const { bindings, problems } = compileShell(run, shell)
      for (const problem of problems) this.shell.push({ problem, path, text: run })
      this.#strings(run, path, place, new Set(bindings.map(({ expression }) => expression)))
    }
  }

  /** `[sh, -c, "… ${{ e }}"]` runs the value as code, like `eval`. */
  #shellArguments(run: readonly unknown[], path: Path): void {
    if (typeof run[0] !== 'string' || !SHELL_PROGRAM.test(run[0])) return
    const option = run.findIndex((word) => typeof word === 'string' && /^-[A-Za-z]*c$/.test(word))
    const script = option < 0 ? undefined : run[option + 1]
    if (typeof script !== 'string' || !script.includes('${{')) return
    const problem: ShellProblem = {
      rule: 'shell-eval',
      severity: 'warning',
      offset: script.indexOf('${{'),
      message: 'the value becomes part of a script that the shell runs',
      fix: 'write `run` as a string, or pass the value as a further argument',
    }
    this.shell.push({ problem, path: [...path, option + 1], text: script })
  }

  #templates(value: unknown, path: Path, place: Place): void {
    if (typeof value === 'string') this.#strings(value, path, place)
    else if (Array.isArray(value)) value.forEach((item, index) => this.#templates(item, [...path, index], place))
    else for (const [key, item] of Object.entries(asRaw(value))) this.#templates(item, [...path, key], place)
  }

  #strings(text: string, path: Path, place: Place, only?: ReadonlySet<string>): void {
    const opened = text.split('${{').length - 1
    let closed = 0
    const counts = new Map<string, number>()
    for (const match of text.matchAll(EXPRESSION)) {
      closed += match[0].split('${{').length - 1
      const source = match[1]!.trim()
      const nth = counts.get(source) ?? 0
      counts.set(source, nth + 1)
      if (!only || only.has(source)) this.#push(source, { path, nth, condition: false }, place)
    }
    if (closed < opened) this.unclosed.push(path)
  }

  #condition(value: unknown, path: Path, place: Place): void {
    if (typeof value === 'string') this.#push(conditionOf(value), { path, nth: 0, condition: true }, place)
  }

  #push(
    source: string,
    at: Pick<ExpressionSite, 'path' | 'nth' | 'condition'>,
    { scope, node, outcome = false, extra = [] }: Place,
  ): void {
    this.expressions.push({ source, ...at, scope, node, outcome, extra })
  }
}
