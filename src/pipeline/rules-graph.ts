// Owns: the rules about how nodes hang together: ids, needs, routes, reachability, joins.
import { didYouMean } from './diagnostic.ts'
import { checkExpression } from './expressions.ts'
import { asList, asRaw, scopesOf, type Outline, type OutlineNode, type OutlineScope, type Report } from './outline.ts'

/** Where a route may lead besides nodes. */
const ROUTE_ENDS = ['end', 'fail']

/** Runs all graph rules over all scopes of a file. */
export function checkGraph(outline: Outline, report: Report): void {
  for (const scope of scopesOf(outline.root)) {
    checkIds(scope, report)
    checkRoutes(scope, outline, report)
    const broken = checkNeeds(scope, outline, report)
    const cyclic = checkCycles(scope, report)
    checkReach(scope, report, new Set([...broken, ...cyclic]))
    for (const node of scope.nodes) if (node.kind === 'fanout') checkJoin(node, report)
  }
}

function checkIds(scope: OutlineScope, report: Report): void {
  for (const node of scope.nodes) {
    if (node.id === '') continue
    const first = scope.byId.get(node.id)
    if (first !== node) {
      const { line } = report.source.locate([...(first?.path ?? []), 'id'])
      report.error(
        'duplicate-id',
        [...node.path, 'id'],
        `another node of this list is called \`${node.id}\` (line ${line})`,
        'rename one of them',
      )
    }
    if (ROUTE_ENDS.includes(node.id)) {
      report.error('bad-id', [...node.path, 'id'], `\`${node.id}\` means something else in routes`, 'choose another id')
    }
  }
}

function checkRoutes(scope: OutlineScope, outline: Outline, report: Report): void {
  const ids = [...scope.byId.keys(), ...ROUTE_ENDS]
  for (const node of scope.nodes) {
    let always = false
    for (const { to, when, path } of node.routes) {
      if (always)
        report.warning(
          'route-shadowed',
          path,
          'a route before it without `when` is always taken',
          'put the route without `when` last',
        )
      if (when === undefined) always = true
      if (scope.byId.has(to) || ROUTE_ENDS.includes(to)) continue
      const elsewhere = outline.scopesById.has(to) ? '; a route stays within its own list of nodes' : ''
      report.error(
        'route-missing',
        [...path, 'to'],
        `the route leads to \`${to}\`, which is no node of this list${didYouMean(to, ids)}${elsewhere}`,
      )
    }
  }
}

/** Gives the nodes that need something that is not there. */
function checkNeeds(scope: OutlineScope, outline: Outline, report: Report): Set<OutlineNode> {
  const routedTo = new Set(scope.nodes.flatMap((node) => node.routes.map((route) => route.to)))
  const broken = new Set<OutlineNode>()
  for (const node of scope.nodes) {
    for (const [index, need] of node.needs.entries()) {
      const path = node.raw['needs'] === undefined ? node.path : [...node.path, 'needs', index]
      const needed = scope.byId.get(need)
      if (!needed) {
        const elsewhere = outline.scopesById.has(need) ? '; only nodes of the same list can be needed' : ''
        report.error(
          'needs-missing',
          path,
          `\`${node.id}\` needs \`${need}\`, which is no node of this list${didYouMean(need, scope.byId.keys())}${elsewhere}`,
        )
        broken.add(node)
      } else if (needed.routed && !routedTo.has(need)) {
        const message = `\`${node.id}\` needs \`${need}\`, which is \`routed\` and no route of this list leads to it`
        report.error('needs-unreached', path, message, `add a route to \`${need}\` or remove \`routed\``)
        broken.add(node)
      }
    }
  }
  return broken
}

/** Reports each cycle of needs once, with its path; gives the nodes on cycles. */
function checkCycles(scope: OutlineScope, report: Report): Set<OutlineNode> {
  const done = new Set<OutlineNode>()
  const cyclic = new Set<OutlineNode>()
  for (const start of scope.nodes) {
    const trail: { node: OutlineNode; next: number }[] = [{ node: start, next: 0 }]
    const on = new Set([start])
    while (trail.length > 0) {
      const top = trail.at(-1)!
      const need = done.has(top.node) ? undefined : top.node.needs[top.next++]
      if (need === undefined) {
        done.add(top.node)
        on.delete(top.node)
        trail.pop()
        continue
      }
      const needed = scope.byId.get(need)
      if (!needed || done.has(needed)) continue
      if (!on.has(needed)) {
        trail.push({ node: needed, next: 0 })
        on.add(needed)
        continue
      }
      const cycle = trail.slice(trail.findIndex(({ node }) => node === needed)).map(({ node }) => node)
      for (const node of cycle) cyclic.add(node)
      const text = [...cycle, needed].map((node) => node.id).join(' → ')
      report.error('needs-cycle', [...top.node.path, 'needs'], `needs go in a circle: ${text}`, 'use routes for loops')
    }
  }
  return cyclic
}

/**
 * What can start: nodes whose needs can all be fulfilled, and routed nodes that a node which can start leads to. A visit
 * that takes a route releases no dependents, so nothing waits behind a node whose route has no `when`.
 */
function checkReach(scope: OutlineScope, report: Report, known: ReadonlySet<OutlineNode>): void {
  const waitingFor = new Map<OutlineNode, number>()
  const dependents = new Map<string, OutlineNode[]>()
  const reached = new Set<OutlineNode>()
  const queue: OutlineNode[] = []
  const enter = (node: OutlineNode | undefined): void => {
    if (node && !reached.has(node)) queue.push((reached.add(node), node))
  }
  for (const node of scope.nodes) {
    const needs = new Set(node.needs.filter((need) => !(ignoresFailure(node) && alwaysRoutes(scope.byId.get(need)))))
    const fulfilled = node.needs.length - needs.size
    waitingFor.set(node, node.routed ? Number.POSITIVE_INFINITY : needs.size)
    for (const need of needs) {
      const waiting = dependents.get(need)
      if (waiting) waiting.push(node)
      else dependents.set(need, [node])
    }
    if (!node.routed && (needs.size === 0 || fulfilled === node.needs.length)) enter(node)
  }
  for (let node = queue.shift(); node; node = queue.shift()) {
    for (const route of node.routes) enter(scope.byId.get(route.to))
    if (alwaysRoutes(node)) continue
    for (const dependent of dependents.get(node.id) ?? []) {
      const left = waitingFor.get(dependent)! - 1
      waitingFor.set(dependent, left)
      if (left === 0) enter(dependent)
    }
  }
  for (const node of scope.nodes) {
    if (reached.has(node) || known.has(node) || node.id === '' || scope.byId.get(node.id) !== node) continue
    reportUnreached(node, report, reached)
  }
}

function reportUnreached(node: OutlineNode, report: Report, reached: ReadonlySet<OutlineNode>): void {
  const path = [...node.path, 'id']
  if (node.routed) {
    const fix = `add a route with \`to: ${node.id}\`, or remove \`routed\``
    report.error('unreachable', path, `\`${node.id}\` is \`routed\` and no route that can be taken leads to it`, fix)
    return
  }
  const routing = node.needs.find(
    (need) => alwaysRoutes(node.scope.byId.get(need)) && reached.has(node.scope.byId.get(need)!),
  )
  // What waits for a node that is reported itself needs no report of its own.
  if (routing === undefined) return
  const message = `\`${node.id}\` can never start: it needs \`${routing}\`, whose route without \`when\` is always taken`
  report.error('unreachable', path, message, 'give that route a `when`, or change `needs`')
}

const alwaysRoutes = (node: OutlineNode | undefined): boolean =>
  node?.routes.some((route) => route.when === undefined) ?? false
/** Its `when` calls a status function, so it may start although a need failed. */
const ignoresFailure = (node: OutlineNode): boolean =>
  typeof node.raw['when'] === 'string' && checkExpression(node.raw['when']).calls.some((call) => call !== 'success')

function checkJoin(node: OutlineNode, report: Report): void {
  const fanout = asRaw(node.raw['fanout'])
  const path = [...node.path, 'fanout', 'join']
  const { at_least: atLeast, quorum } = asRaw(fanout['join'])
  const branches = branchCount(fanout)
  if (typeof quorum === 'number' && !(quorum > 0 && quorum <= 1)) {
    report.error(
      'join-impossible',
      [...path, 'quorum'],
      `a quorum is a share in (0, 1], found ${quorum}`,
      'for a number of branches use at_least',
    )
  }
  if (branches === undefined) return
  if (typeof atLeast === 'number' && atLeast > branches) {
    const message = `the join can never be met: at_least ${atLeast} of ${branches} ${branches === 1 ? 'branch' : 'branches'}`
    report.error('join-impossible', [...path, 'at_least'], message, `use at_least ${branches} or less`)
  } else if (branches === 0 && fanout['join'] !== undefined && fanout['join'] !== 'all') {
    report.error(
      'join-impossible',
      path,
      'the join can never be met: there are no branches',
      'use join: all or add branches',
    )
  }
}

/** Number of branches where the file says it; undefined where an expression does. */
function branchCount(fanout: { readonly [key: string]: unknown }): number | undefined {
  if (typeof fanout['count'] === 'number') return fanout['count']
  if (Array.isArray(fanout['each'])) return fanout['each'].length
  if (fanout['branches'] !== undefined) return Object.keys(asRaw(fanout['branches'])).length
  if (fanout['matrix'] === undefined) return undefined
  const { include, exclude, ...axes } = asRaw(fanout['matrix'])
  if (exclude !== undefined && asList(exclude).length > 0) return undefined
  const lists = Object.values(axes)
  if (!lists.every((axis) => Array.isArray(axis)) || (include !== undefined && !Array.isArray(include)))
    return undefined
  const combinations = lists.length === 0 ? 0 : lists.reduce((product, axis) => product * axis.length, 1)
  return asList(include).length > 0 ? undefined : combinations
}
