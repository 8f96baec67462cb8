// Owns: random runs from a seed: a valid pipeline, a world that answers always in the same way, playing to the end.
// Must not: assert anything but that a run ends.
import { randomAgentAnswer } from './random-agents.ts'
import { agentPipelines, failFastPipelines, randomOf, randomPipelines, type Random } from './random-pipeline.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'
import { failureOf, pipelineOf, type Answer, type Script, type World } from './world.ts'

/** Outcomes are a function of the attempt, not of when it is asked: a crash and its resume meet the same world. */
export function randomScript(seed: number): Script {
  return (command) => {
    const r = randomOf([...command.id].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) | 0, seed))
    const answer = randomAnswer(r, command)
    if (command.kind === 'summary' && r.chance(0.7)) return { ...answer, notes: 'it is like this' }
    return command.kind === 'attempt' ? randomAgentAnswer(r, command, answer) : answer
  }
}

function randomAnswer(r: Random, command: Parameters<Script>[0]): Answer {
  const takes = r.int(5_000)
  const waits = command.kind === 'attempt' && r.chance(0.1) ? { waits: r.int(20_000) } : {}
  const decision = command.kind === 'attempt' ? command.node.decision : undefined
  const label =
    decision && r.chance(0.9) ? { label: r.pick(decision), ...(r.chance(0.3) && { notes: 'so it was decided' }) } : {}
  const usage = r.chance(0.3) ? { usage: { input: r.int(300), cache_read: 0, cache_write: 0, output: r.int(100) } } : {}
  if (r.chance(0.6)) return { takes, ...usage, ...waits, ...label }
  return {
    takes,
    ...usage,
    ...waits,
    failure: failureOf(
      r.pick(['compile error', 'timed_out', 'network', 'signaled', 'auth_failed', `test ${r.int(9)} failed`]),
    ),
  }
}

export const FAMILIES = ['any', 'fail_fast', 'agents'] as const
const PIPELINES = { any: randomPipelines, fail_fast: failFastPipelines, agents: agentPipelines }
export type Family = (typeof FAMILIES)[number]

/** The validator refuses some random pipelines (rightly); those seeds are drawn again. */
export async function validPipeline(seed: number, family: Family = 'any'): Promise<Pipeline> {
  const r: Random = randomOf(seed)
  for (let tries = 0; tries < 200; tries++) {
    try {
      const { pipeline, files } = PIPELINES[family](r)
      return await pipelineOf(pipeline as never, files as never)
    } catch (error) {
      if ((error as { code?: string }).code !== 'pipeline.invalid') throw error
    }
  }
  throw new Error(`no valid pipeline in 200 tries from seed ${seed}`)
}

/** To the end; a person answers every gate that is still open when nothing else happens, some earlier. */
export function goOn(world: World): World {
  for (let answers = 0; world.state.phase === 'running'; answers++) {
    world.play((w) => w.state.gates.size > 0 && w.entries.length % 7 === 0)
    const [gate] = world.state.gates.values()
    if (world.state.phase !== 'running') break
    if (!gate || answers > 10_000) throw new Error(`the run hangs: ${world.lines().slice(-3).join(' | ')}`)
    const { choices } = gate.gate!
    world.tell({
      type: 'gate.answer',
      node: gate.path,
      choice: choices[answers % choices.length]!,
      by: { kind: 'user' },
    })
  }
  if (world.state.phase !== 'ended') throw new Error(`the run is ${world.state.phase}`)
  return world
}
