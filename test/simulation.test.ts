// Seeded random pipelines against a random world, with a crash at every entry of the journal and a cancel at some:
// I1-I4 hold at every prefix, every run ends, finished work is never redone, telemetry says everything exactly once.
// One seed alone: SEED=123 vitest run test/simulation.test.ts; a range: SEED=200-300; more of them: SEEDS=5000.
import { describe, expect, test } from 'vitest'
import type { Entry } from '../src/core/events.ts'
import type { Pipeline } from '../src/core/pipeline.ts'
import { parseAttemptId } from '../src/core/ids.ts'
import { hasWork, pending } from '../src/core/pending.ts'
import { summaryOf } from '../src/core/summary.ts'
import { checkHeldScopes } from './support/held-scopes.ts'
import { checkLiveState } from './support/live-state.ts'
import { checkInvariants } from './support/invariants.ts'
import { FAMILIES, goOn, randomScript, validPipeline, type Family } from './support/random-play.ts'
import { World } from './support/world.ts'

/** Seeds that found something once. */
const KNOWN = {
  any: [1121, 1197, 1250, 1271, 1390, 1436, 1464, 1663, 1743, 2699],
  fail_fast: [462, 873, 1017],
  agents: [55, 58, 67, 151],
}
const DEFAULT_SEEDS = { any: 110, fail_fast: 40, agents: 40 }

function seeds(family: Family): number[] {
  const { SEED, SEEDS } = process.env
  const [first = 1, last = first] = SEED?.split('-').map(Number) ?? [1, Number(SEEDS ?? DEFAULT_SEEDS[family])]
  const range = Array.from({ length: last - first + 1 }, (_, i) => first + i)
  return SEED === undefined && SEEDS === undefined ? [...range, ...KNOWN[family]] : range
}

function foldAgain(world: World): World {
  return new World(world.pipeline, world.script, world.entries, world.now)
}

function expectSameState(world: World): void {
  checkHeldScopes(world.state)
  const again = foldAgain(world)
  expect(summaryOf(again.state)).toEqual(summaryOf(world.state))
  expect([...pending(again.state).keys()].sort()).toEqual([...pending(world.state).keys()].sort())
  expect(hasWork(again.state)).toBe(hasWork(world.state))
}

/** What failed is retried by hand, at most twice; the journal stays a journal. */
function retryByHand(world: World, seed: number): void {
  for (let n = 0; n < 2; n++) {
    if (world.tell({ type: 'retry', reset_count: (seed + n) % 3 === 0, mode: 'clean' })) return
    goOn(world)
    checkInvariants(world.entries, world.pipeline)
    expectSameState(world)
    // Nobody canceled this execution: what was canceled before has run.
    expect(world.state.result).not.toBe('cancellation')
  }
}

const finishedVisits = (entries: readonly Entry[]): Set<string> => {
  const done = new Set<string>()
  for (const { event } of entries) {
    if (event.type === 'node.finished' && !event.canceled_run) done.add(`${event.node}@${event.visit}`)
  }
  return done
}

describe.each(FAMILIES)('simulation: %s', (family) => {
  test.each(seeds(family))('seed %i', { timeout: 120_000 }, (seed) =>
    simulate(seed, family).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${String(error)}\n  ${World.latest?.lines().slice(-60).join('\n  ')}`, {
        cause: error,
      })
    }),
  )
})

async function simulate(seed: number, family: Family): Promise<void> {
  const pipeline = await validPipeline(seed, family)
  const world = goOn(newWorld(pipeline, seed))
  checkInvariants(world.entries, pipeline)
  expectSameState(world)
  const total = world.entries.length
  const stride = Math.max(1, Math.floor(total / 40))
  // Half of the crashes do for a seed that never found anything: as many pipelines again are worth more.
  const step = KNOWN[family].includes(seed) ? stride : 2 * stride
  for (let at = 1 + (seed % step); at < total; at += step) crashAt(world, at, seed)
  for (const at of [2, Math.floor(total / 2), Math.floor((total * 3) / 4)]) cancelAt(pipeline, seed, at)
  retryByHand(world, seed)
}

/** Created; after every entry it is looked at. */
function newWorld(pipeline: Pipeline, seed: number): World {
  const world = new World(pipeline, randomScript(seed))
  world.onEntry = (_, { state }) => checkLiveState(state)
  return world.create()
}

/** The process dies after entry `at`; the sentinel ends the execution; somebody resumes. Some die a second time. */
function crashAt(world: World, at: number, seed: number): void {
  let next = world.crashed(at)
  if (next.state.phase !== 'running') return
  const done = finishedVisits(next.entries)
  const before = next.entries.length
  expect(next.tell({ type: 'interrupt', message: 'the orchestrator was killed' })).toBeUndefined()
  expect(next.state.phase).toBe('interrupted')
  checkInvariants(next.entries, world.pipeline)
  expect(next.tell({ type: 'resume' })).toBeUndefined()
  if ((at + seed) % 3 === 0 && next.entries.length > before + 3) {
    next.play((w) => w.entries.length > before + 6)
    next = next.crashed()
    if (next.state.phase === 'running') {
      next.tell({ type: 'interrupt', message: 'killed again' })
      next.tell({ type: 'resume' })
    }
  }
  goOn(next)
  checkInvariants(next.entries, world.pipeline)
  expectSameState(next)
  for (const { event } of next.entries.slice(before)) {
    if (event.type !== 'attempt.started') continue
    const { path, visit } = parseAttemptId(event.attempt_id)!
    if (done.has(`${path}@${visit}`)) throw new Error(`${path}@${visit} had finished and ran again`)
  }
}

/** Canceled after entry `at`, then resumed to its end. */
function cancelAt(pipeline: Pipeline, seed: number, at: number): void {
  const world = newWorld(pipeline, seed)
  world.play((w) => w.entries.length >= at)
  if (world.state.phase !== 'running' || world.state.concluded) return
  expect(world.tell({ type: 'cancel', by: { kind: 'signal', signal: 'SIGINT' }, force: false })).toBeUndefined()
  if (seed % 2 === 0 && world.state.phase === 'running' && !world.state.concluded)
    world.tell({ type: 'cancel', by: { kind: 'signal', signal: 'SIGINT' }, force: true })
  if (seed % 3 === 0) return killDuringCancel(world, at)
  goOn(world)
  checkInvariants(world.entries, pipeline)
  expectSameState(world)
  if (!world.state.resumable) return
  expect(world.tell({ type: 'resume' })).toBeUndefined()
  goOn(world)
  checkInvariants(world.entries, pipeline)
  expectSameState(world)
}

/** The process dies while it cancels; it is resumed, and in the end what failed is retried. */
function killDuringCancel(world: World, at: number): void {
  world.play((w) => w.entries.length % 5 === at % 5)
  const next = world.crashed()
  if (next.state.phase !== 'running') return
  expect(next.tell({ type: 'interrupt', message: 'killed while it was being canceled' })).toBeUndefined()
  expect(next.tell({ type: 'resume' })).toBeUndefined()
  goOn(next)
  checkInvariants(next.entries, next.pipeline)
  expectSameState(next)
  retryByHand(next, at)
}
