// Owns: the short way to play a pipeline to its end and to say what came of its nodes. Must not: assert anything.
import type { Input } from '../../src/core/inputs.ts'
import { originalCause, type Failure } from '../../src/core/failure.ts'
import { answers, pipelineOf, World, type Answer, type Script } from './world.ts'

type Create = Partial<Extract<Input, { type: 'create' }>>
type Answers = Parameters<typeof answers>[0]

/** A world for a pipeline that is given without its name; `script` by node id, or a whole script. Nothing has happened yet. */
export async function worldOf(text: string, script: Script | Answers = {}): Promise<World> {
  const pipeline = await pipelineOf(`name: tested\n${text}`)
  return new World(pipeline, typeof script === 'function' ? script : answers(script))
}

/** Plays to the end, or until the run waits for a person. */
export async function play(text: string, script: Script | Answers = {}, create: Create = {}): Promise<World> {
  const world = await worldOf(text, script)
  return world.create(create).play()
}

/** Node path → how it came out last: a result, or `skip: <reason's code>`. */
export function results(world: World): { [path: string]: string } {
  const found: { [path: string]: string } = {}
  for (const { event } of world.entries) {
    if (event.type === 'node.finished') found[event.node] = event.result
    else if (event.type === 'node.skipped') found[event.node] = `skip: ${event.failure.code}`
  }
  return found
}

/** `build@1 build@2 …`: the visits in the order in which they started. */
export const visits = (world: World): string[] =>
  world
    .events('node.started')
    .filter((event) => event.via !== 'resume' || event.continues === undefined)
    .map((event) => `${event.node}@${event.visit}`)

/** Attempt ids in the order in which they started. */
export const attempts = (world: World): string[] => world.events('attempt.started').map((event) => event.attempt_id)

/** Codes from the outermost reason to the original cause. */
export function chain(failure: Failure | undefined): string[] {
  return failure ? [failure.code, ...chain(failure.causes?.[0])] : []
}

/** The sentence that the original cause says. */
export const cause = (failure: Failure | undefined): string | undefined => failure && originalCause(failure).message

/** Plays until something has been recorded; says so if it never is. */
export function playUntil(world: World, line: string): World {
  const there = (): boolean => world.lines().some((each) => each.startsWith(line))
  world.play(there)
  if (!there()) throw new Error(`\`${line}\` never happened: ${world.lines().slice(-8).join(' | ')}`)
  return world
}

export const SIGINT = { type: 'cancel', by: { kind: 'signal', signal: 'SIGINT' }, force: false } as const
export const SECOND_SIGINT = { type: 'cancel', by: { kind: 'signal', signal: 'SIGINT' }, force: true } as const

/** The process dies at this point; another one ends the execution and resumes. */
export function killed(world: World, entries = world.entries.length): World {
  const next = world.crashed(entries)
  next.tell({ type: 'interrupt', message: 'the orchestrator was killed' })
  return next
}

export type { Answer }
