// Owns: the rules about expressions: that they compile, that what they name exists, that shells get values as data.
import { CEL_KEYWORDS, type Reference } from './cel.ts'
import { didYouMean, type Diagnostic } from './diagnostic.ts'
import { checkExpression, type ExpressionFacts } from './expressions.ts'
import { sitesOf, sitesOfText, type ExpressionSite } from './expression-sites.ts'
import { asRaw, Report, type Outline, type OutlineNode, type OutlineScope } from './outline.ts'
import { EXPRESSION_VARIABLES } from './rules-node.ts'
import { textSource } from './yaml-source.ts'

const NODE_FIELDS = ['result', 'label', 'outputs', 'failure', 'visits', 'attempts', 'session']
const RUN_FIELDS = ['id', 'name', 'key', 'labels', 'trace_id', 'execution']
const OUTCOME_VARIABLES = ['result', 'label', 'failure']
const BRANCH_VARIABLES = ['branch', 'item']
const SHOWN_CHARS = 120

/** Runs all rules about expressions. */
export function checkExpressions(outline: Outline, report: Report): void {
  const { expressions, shell, unclosed } = sitesOf(outline)
  for (const path of unclosed) report.error('expression', path, '`${{` is not closed', 'close it with }}')
  for (const { problem, path, text } of shell) {
    const before = text.slice(0, problem.offset)
    const position = report.source.locateText(path, '${{', before.split('${{').length - 1)
    report.at(position, problem)
  }
  const rules = new ExpressionRules(outline, report)
  for (const site of expressions) rules.check(site)
}

/** Runs the rules over the text of a prompt file; `node` is the agent that names it. */
export function checkPrompt(outline: Outline, node: OutlineNode, file: string, text: string): Diagnostic[] {
  const report = new Report(textSource(file, text))
  const { expressions, unclosed } = sitesOfText(text, node)
  if (unclosed)
    report.error('expression', [], '`${{` is not closed', 'close it with }}; for a literal one write ${{ "$" }}{{')
  const rules = new ExpressionRules(outline, report)
  for (const site of expressions) rules.check(site)
  return report.diagnostics
}

class ExpressionRules {
  readonly #outline: Outline
  readonly #report: Report
  readonly #params: readonly string[]
  constructor(outline: Outline, report: Report) {
    this.#outline = outline
    this.#report = report
    this.#params = Object.keys(asRaw(outline.raw['params']))
  }

  check(site: ExpressionSite): void {
    const facts = checkExpression(site.source)
    if (this.#checkQuotedIds(site, facts)) return
    if (facts.error)
      return this.#add(
        site,
        error('expression', `${shown(site.source)} does not compile: ${facts.error.message}`),
        facts.error.offset,
      )
    if (site.condition && facts.type !== 'bool' && facts.type !== 'dyn') {
      this.#add(
        site,
        error('expression', `${shown(site.source)} must be true or false, it is of type ${facts.type}`),
        0,
      )
    }
    for (const reference of facts.references) this.#checkReference(site, reference)
  }

  /** `nodes.my-node` is a subtraction in CEL; such ids are written `nodes["my-node"]`. True when that was reported as an error. */
  #checkQuotedIds(site: ExpressionSite, facts: ExpressionFacts): boolean {
    for (const match of site.source.matchAll(/\bnodes\.([A-Za-z_][\w-]*)/g)) {
      const id = match[1]!
      if (!isVisible(site.scope, id) || !(id.includes('-') || CEL_KEYWORDS.has(id))) continue
      const unknown = facts.references.some(
        (ref) => ref.root === 'nodes' && ref.path[0] !== undefined && !isVisible(site.scope, ref.path[0]),
      )
      const broken = facts.error !== undefined || unknown
      const message = `\`nodes.${id}\` does not name node \`${id}\`: CEL reads ${id.includes('-') ? '`-` as minus' : 'a keyword'}`
      this.#add(
        site,
        { rule: 'node-id-quoting', severity: broken ? 'error' : 'warning', message, fix: `write nodes["${id}"]` },
        match.index,
      )
      return true
    }
    return false
  }

  #checkReference(site: ExpressionSite, reference: Reference): void {
    const { root, path } = reference
    if (root === 'nodes') return this.#checkNode(site, reference)
    if (root === 'params') return this.#checkField(site, reference, this.#params, 'param')
    if (root === 'run') return this.#checkField(site, reference, RUN_FIELDS, 'field of run')
    if (root === 'env') return this.#checkEnv(site, path[0], reference.offset)
    const visible = variablesOf(site)
    if (visible.has(root)) return
    const offset = reference.offset
    if (OUTCOME_VARIABLES.includes(root)) {
      const fix = `use nodes["${site.node?.id ?? '…'}"].${root} of a node that ran, or a \`when\` of its routes`
      this.#add(
        site,
        unknown(`\`${root}\` is known only after the node's outcome (routes, checks, hooks)`, fix),
        offset,
      )
    } else if (BRANCH_VARIABLES.includes(root)) {
      this.#add(site, unknown(`\`${root}\` is known only inside a fan-out`), offset)
    } else if (isVisible(site.scope, root)) {
      this.#add(site, unknown(`unknown variable \`${root}\`, did you mean \`nodes.${root}\`?`), offset)
    } else if (this.#params.includes(root)) {
      this.#add(site, unknown(`unknown variable \`${root}\`, did you mean \`params.${root}\`?`), offset)
    } else {
      this.#add(
        site,
        unknown(`unknown variable \`${root}\`${didYouMean(root, visible)}`, `there are ${[...visible].join(', ')}`),
        offset,
      )
    }
  }

  #checkNode(site: ExpressionSite, { path, offset }: Reference): void {
    const [id, field] = path
    if (id === undefined) return
    if (!isVisible(site.scope, id)) {
      const inside = this.#fanoutAround(id)
      const hint = inside
        ? ` here; it is inside \`${inside}\`: use nodes["${inside}"].outputs.branches`
        : didYouMean(id, visibleIds(site.scope))
      return this.#add(site, unknown(`there is no node \`${id}\`${hint}`), offset)
    }
    if (field !== undefined && !NODE_FIELDS.includes(field)) {
      const fix = `nodes have ${NODE_FIELDS.join(', ')}`
      this.#add(site, unknown(`\`nodes.${id}.${field}\` does not exist${didYouMean(field, NODE_FIELDS)}`, fix), offset)
    }
  }

  #checkField(site: ExpressionSite, { path, offset }: Reference, known: readonly string[], noun: string): void {
    const name = path[0]
    if (name === undefined || known.includes(name)) return
    const fix = known.length === 0 ? `declare it under \`params\` at the top` : `there are ${known.join(', ')}`
    this.#add(site, unknown(`unknown ${noun} \`${name}\`${didYouMean(name, known)}`, fix), offset)
  }

  /** Only a warning: a parent pipeline may declare it. */
  #checkEnv(site: ExpressionSite, name: string | undefined, offset: number): void {
    const declared = [asRaw(asRaw(this.#outline.raw['defaults'])['env']), asRaw(site.node?.raw['env'])].flatMap((env) =>
      Object.keys(env),
    )
    if (name === undefined || declared.includes(name)) return
    const message = `\`env.${name}\` is not declared in \`env\`${didYouMean(name, declared)}`
    const fix = 'expressions see declared env only; in a shell write $NAME for the others'
    this.#add(site, { rule: 'expression-unknown', severity: 'warning', message, fix }, offset)
  }

  #fanoutAround(id: string): string | undefined {
    return this.#outline.scopesById.get(id)?.find((scope) => scope.parent)?.parent?.id
  }

  #add(site: ExpressionSite, problem: Problem, offset: number): void {
    const { line, column } = this.#report.source.locateText(site.path, site.source, site.nth)
    const onLine = site.source.slice(0, offset)
    const known = line > 1 || column > 1
    this.#report.at({ line, column: known && !onLine.includes('\n') ? column + onLine.length : column }, problem)
  }
}

function variablesOf({ scope, outcome, extra }: ExpressionSite): Set<string> {
  const names = new Set<string>(
    EXPRESSION_VARIABLES.filter((name) => !OUTCOME_VARIABLES.includes(name) && !BRANCH_VARIABLES.includes(name)),
  )
  for (const name of extra) names.add(name)
  if (outcome) for (const name of OUTCOME_VARIABLES) names.add(name)
  for (let at = scope.parent; at; at = at.scope.parent) {
    for (const name of BRANCH_VARIABLES) names.add(name)
    const as = asRaw(at.raw['fanout'])['as']
    if (typeof as === 'string') names.add(as)
  }
  return names
}

/** The node of that id that expressions of a scope can name: its own scope, then outward. */
function isVisible(scope: OutlineScope, id: string): boolean {
  for (let at: OutlineScope | undefined = scope; at; at = at.parent?.scope) if (at.byId.has(id)) return true
  return false
}

function* visibleIds(scope: OutlineScope): Generator<string> {
  for (let at: OutlineScope | undefined = scope; at; at = at.parent?.scope) yield* at.byId.keys()
}

type Problem = Pick<Diagnostic, 'rule' | 'severity' | 'message' | 'fix'>
const error = (rule: string, message: string, fix?: string): Problem => ({ rule, severity: 'error', message, fix })
const unknown = (message: string, fix?: string): Problem => error('expression-unknown', message, fix)

const shown = (source: string): string =>
  `\`${source.length > SHOWN_CHARS ? `${source.slice(0, SHOWN_CHARS)}…` : source}\``
