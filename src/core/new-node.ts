// Owns: the state of a node before its first visit.
import { nodePath } from './ids.ts'
import { emptyRollup, type NodeState } from './node-state.ts'
import type { Node } from './pipeline.ts'
import type { Scope } from './state.ts'

/** A node before its first visit. */
export function newNode(def: Node, scope: Scope): NodeState {
  return {
    def,
    scope,
    path: nodePath(scope.prefix, def.id),
    phase: 'idle',
    step: 'entering',
    unmet: def.needs.length,
    released: false,
    visits: 0,
    began: false,
    visitsCounted: 0,
    via: 'needs',
    cleanup: false,
    resuming: false,
    enterVia: undefined,
    result: undefined,
    label: undefined,
    outputs: undefined,
    failure: undefined,
    partial: false,
    tolerated: false,
    route: undefined,
    canceledRun: false,
    failed: undefined,
    canceled: false,
    startedAt: 0,
    finishedAt: 0,
    spanId: '',
    stop: undefined,
    settled: undefined,
    inputs: {},
    ...noAttempts(),
    counted: false,
    broken: undefined,
    hooks: undefined,
    summary: undefined,
    inner: undefined,
    closed: undefined,
    fanout: undefined,
    checkIndex: 0,
    checkOpen: false,
    checkFailure: undefined,
    dueAt: undefined,
    timeoutAt: undefined,
    mode: undefined,
    gate: undefined,
    gateExpired: false,
    answers: undefined,
    answeredInVisit: 0,
    rollup: emptyRollup(),
    budget: undefined,
    childBudget: undefined,
    workingIn: 0,
    limitedUntil: 0,
  }
}

/** Its attempts: of the visit, and over all visits. */
const noAttempts = () =>
  ({
    attempt: undefined,
    memory: { session: undefined, failedBefore: 0, streak: undefined, line: undefined },
    attemptsTotal: 0,
    retriesTotal: 0,
    attemptsInVisit: 0,
    retriesInVisit: 0,
    fallbacksInVisit: 0,
    retriesCarried: 0,
    lostInVisit: 0,
    lostInARow: 0,
    limitWaits: 0,
    limitWaitMs: 0,
    notBefore: 0,
    delayMs: undefined,
    prior: [],
  }) satisfies Partial<NodeState>
