// Owns: how much of each budget is used, from the journal alone: the same sums as core/spend.ts (a test compares both
// after every entry). A budget pays for its node and all below it. No clock: `nowUs` is an argument.
import type { EventOf } from '../core/events.ts'
import { branchPrefix, childPrefix } from '../core/ids.ts'
import { endedWell } from '../core/policy.ts'
import type { Spent } from '../core/node-state.ts'
import type { Budget, NodeKind } from '../core/pipeline.ts'
import { idOf } from './run-rows.ts'

const KINDS = ['usd', 'tokens', 'attempts', 'time'] as const
type BudgetKind = (typeof KINDS)[number]
/** Kinds whose visits are no work themselves. */
const HOLDERS: ReadonlySet<string> = new Set<NodeKind>(['gate', 'fanout', 'child'])

interface BudgetUse {
  readonly node: string | undefined
  limits: Budget
  usd: number
  tokens: number
  attempts: number
  /** Time used up to `sinceUs`; the clock runs while something is `busy`. */
  timeUs: number
  sinceUs: number
  busy: number
}

export interface BudgetShare {
  /** Path of the node, with a `/` behind it for a child pipeline's own budget; empty for the run's. */
  readonly scope: string
  /** Node id; undefined for the run. */
  readonly node: string | undefined
  readonly kind: BudgetKind
  readonly used: number
  readonly limit: number
}

export class BudgetBook {
  /** Every node id and kind that ever had a budget. */
  readonly seen = new Map<string, Pick<BudgetShare, 'node' | 'kind'>>()
  private readonly budgets = new Map<string, BudgetUse>()
  /** Budgets of a scope and of all scopes inside it, by its prefix: what ended well takes its budgets with it. */
  private readonly byPrefix = new Map<string, Set<string>>()
  /** Open visits that count as work from start to end, by node path. The others only count by their checks and hooks. */
  private readonly throughout = new Set<string>()
  /** Visits on the clock, by node path, and when the limit is over that one waits for. */
  private readonly working = new Set<string>()
  private readonly limitedUntilUs = new Map<string, number>()

  /** A budget that is known already keeps what was used: only its limits may have been raised. */
  open(scope: string, limits: Budget | undefined): void {
    if (!limits) return
    const path = scope.endsWith('/') ? scope.slice(0, -1) : scope
    const node = path === '' ? undefined : idOf(path)
    for (const kind of KINDS)
      if (limitOf(limits, kind) !== undefined) this.seen.set(`${kind} ${node ?? ''}`, { node, kind })
    const known = this.budgets.get(scope)
    if (known) {
      known.limits = limits
      return
    }
    this.budgets.set(scope, { node, limits, usd: 0, tokens: 0, attempts: 0, timeUs: 0, sinceUs: 0, busy: 0 })
    for (const prefix of prefixesOf(scope)) {
      const others = this.byPrefix.get(prefix)
      if (others) others.add(scope)
      else this.byPrefix.set(prefix, new Set([scope]))
    }
  }

  addAttempt(path: string): void {
    for (const budget of this.payers(path)) budget.attempts += 1
  }

  addSpend(path: string, before: Spent, after: Spent): void {
    for (const budget of this.payers(path)) {
      budget.usd += after.costUsd - before.costUsd
      budget.tokens += total(after.tokens) - total(before.tokens)
    }
  }

  // -- the clock of time budgets: it runs while something is under way that is no gate and no limit wait

  visitStarted(event: EventOf<'node.started'>, atUs: number): void {
    if (this.budgets.size === 0) return
    if (event.continues === undefined) this.forgetVisits(event)
    if (HOLDERS.has(event.kind)) return
    this.throughout.add(event.node)
    if (event.failure || (this.limitedUntilUs.get(event.node) ?? 0) > atUs) return
    this.startWork(event.node, atUs)
  }

  visitEnded(event: EventOf<'node.finished'>, atUs: number): void {
    this.endWork(event.node, atUs)
    this.throughout.delete(event.node)
    this.limitedUntilUs.delete(event.node)
    if (event.kind === 'child' && endedWell(event.result)) this.drop(childPrefix(event.node, event.visit))
  }

  /** What earlier visits left behind counts no longer. */
  private forgetVisits({ node, visit, kind }: EventOf<'node.started'>): void {
    this.limitedUntilUs.delete(node)
    if (visit === 1 || !HOLDERS.has(kind)) return
    for (const prefix of this.byPrefix.keys())
      if (prefix.startsWith(node) && '@:/'.includes(prefix.charAt(node.length))) this.drop(prefix)
  }

  /** A check or hook has ended. */
  stepEnded(path: string, atUs: number): void {
    if (!this.throughout.has(path)) this.endWork(path, atUs)
  }

  startWork(path: string, atUs: number): void {
    if (this.budgets.size === 0 || this.working.has(path)) return
    this.working.add(path)
    for (const budget of this.payers(path)) if (budget.busy++ === 0) budget.sinceUs = atUs
  }

  /** Somebody answered what its agent had asked. */
  goOn(path: string, atUs: number): void {
    if (this.throughout.has(path)) this.startWork(path, atUs)
  }

  endWork(path: string, atUs: number): void {
    if (!this.working.delete(path)) return
    for (const budget of this.payers(path)) if (budget.busy > 0 && --budget.busy === 0) stopClock(budget, atUs)
  }

  /** The execution has ended, or its process is gone: nothing is on any clock. */
  stopClocks(atUs: number): void {
    for (const budget of this.budgets.values()) {
      if (budget.busy > 0) stopClock(budget, atUs)
      budget.busy = 0
    }
  }

  endExecution(atUs: number): void {
    this.stopClocks(atUs)
    this.working.clear()
    this.throughout.clear()
  }

  /** It waits for a limit, also over the loss of its attempt. */
  limit(path: string, atUs: number, untilUs: number): void {
    if (this.budgets.size === 0) return
    this.endWork(path, atUs)
    this.limitedUntilUs.set(path, untilUs)
  }

  unlimit(path: string, atUs: number): void {
    if (this.limitedUntilUs.delete(path)) this.startWork(path, atUs)
  }

  /** What may be gone back into keeps its budgets. */
  branchEnded(event: EventOf<'branch.finished'>): void {
    if (endedWell(event.result)) this.drop(branchPrefix(event.node, event.visit, event.branch.key))
  }

  private drop(prefix: string): void {
    for (const scope of this.byPrefix.get(prefix) ?? []) {
      this.budgets.delete(scope)
      for (const around of prefixesOf(scope)) {
        const others = this.byPrefix.get(around)
        if (others?.delete(scope) && others.size === 0) this.byPrefix.delete(around)
      }
    }
  }

  *shares(nowUs: number): Generator<BudgetShare> {
    for (const [scope, budget] of this.budgets) {
      for (const kind of KINDS) {
        const limit = limitOf(budget.limits, kind)
        if (limit === undefined) continue
        const running = budget.busy > 0 ? Math.max(0, nowUs - budget.sinceUs) : 0
        const used = kind === 'time' ? (budget.timeUs + running) / 1_000 : budget[kind]
        yield { scope, node: budget.node, kind, used, limit }
      }
    }
  }

  /** The budgets that pay for something in this node: its own, those of the nodes around it, the run's. */
  private *payers(path: string): Generator<BudgetUse> {
    if (this.budgets.size === 0) return
    for (let at: string | undefined = path; at !== undefined; at = ownerOf(at)) {
      const child = this.budgets.get(`${at}/`)
      if (child) yield child
      const own = this.budgets.get(at)
      if (own) yield own
    }
    const run = this.budgets.get('')
    if (run) yield run
  }
}

/** Of the scopes around a node, or around the node of a child pipeline's own budget: `f:b/`, `f:b/c/`. */
function* prefixesOf(scope: string): Generator<string> {
  for (let end = scope.indexOf('/'); end >= 0 && end < scope.length - 1; end = scope.indexOf('/', end + 1))
    yield scope.slice(0, end + 1)
}

/** The fan-out or child node around a node: the scope's prefix without visit and branch key. */
function ownerOf(path: string): string | undefined {
  const end = path.lastIndexOf('/')
  if (end < 0) return undefined
  const scope = path.slice(0, end)
  const start = scope.lastIndexOf('/') + 1
  const mark = scope.slice(start).search(/[@:]/)
  return mark < 0 ? scope : scope.slice(0, start + mark)
}

const limitOf = (limits: Budget, kind: BudgetKind): number | undefined =>
  kind === 'time' ? limits.time_ms : limits[kind]

const total = (tokens: Spent['tokens']): number => tokens.input + tokens.cache_read + tokens.cache_write + tokens.output

function stopClock(budget: BudgetUse, atUs: number): void {
  budget.timeUs += Math.max(0, atUs - budget.sinceUs)
}
