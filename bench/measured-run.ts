// Owns: the pipelines that are measured, and one measured run of one of them through the real library, store and disk.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { call, fanout, pipeline, run, runPipeline } from 'spanwright'

type Definition = ReturnType<typeof pipeline>

/** Each function starts when the one before has ended. */
export const functionChain = (length: number): Definition =>
  pipeline({ name: 'chain', nodes: Array.from({ length }, (_, i) => call(`step${i}`, () => ({}))) })

export const functionFanout = (branches: number): Definition =>
  pipeline({ name: 'fanout', nodes: [fanout('wide', { count: branches, nodes: [call('noop', () => {})] })] })

/** Fan-outs of at most 10,000, as wide as the contract asks, one after another. */
export const functionFanouts = (branches: number): Definition =>
  pipeline({
    name: 'fanouts',
    nodes: Array.from({ length: Math.ceil(branches / 10_000) }, (_, i) =>
      fanout(`wide${i}`, { count: Math.min(10_000, branches - i * 10_000), nodes: [call('noop', () => {})] }),
    ),
  })

export type Command = string | readonly string[]

export const commandChain = (length: number, command: Command): Definition =>
  pipeline({ name: 'commands', nodes: Array.from({ length }, (_, i) => run(`step${i}`, { run: command })) })

/** `atOnce` of them run at the same time. */
export const commandFanout = (count: number, command: Command, atOnce: number): Definition =>
  pipeline({
    name: 'commands',
    maxParallel: atOnce,
    nodes: [fanout('wide', { count, nodes: [run('step', { run: command })] })],
  })

export interface MeasuredRun {
  readonly runId: string
  /** From the call of the library to its result. */
  readonly wallMs: number
  /** From the first entry on record to the last one: without preparation, sentinel and clearing away. */
  readonly workMs: number
  /** The last three quarters of it, by groups: what the start of anything costs is over by then. */
  readonly settledMs: number
  /** Processor time of this process meanwhile, all threads. */
  readonly cpuMs: number
  /** How many entries went to the disk together, in order. */
  readonly groupSizes: readonly number[]
}

export async function measuredRun(definition: Definition, store: string): Promise<MeasuredRun> {
  const groupSizes: number[] = []
  const groupTimes: number[] = []
  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  const { run_id, result } = await runPipeline(definition, {
    store,
    onEntries: (entries) => {
      groupTimes.push(performance.now())
      groupSizes.push(entries.length)
    },
  })
  const wallMs = performance.now() - startedAt
  const { user, system } = process.cpuUsage(cpuBefore)
  if (result !== 'success') throw new Error(`the run ended with ${result}`)
  const lastAt = groupTimes.at(-1)!
  return {
    runId: run_id,
    wallMs,
    workMs: lastAt - groupTimes[0]!,
    settledMs: lastAt - groupTimes[groupTimes.length >> 2]!,
    cpuMs: (user + system) / 1_000,
    groupSizes,
  }
}

/** What a run put on the disk, as it was put there: its bytes by group. */
export function writtenGroups({ runId, groupSizes }: MeasuredRun, store: string): Buffer[] {
  const lines = readFileSync(path.join(store, 'runs', runId, 'journal.ndjson'), 'utf8').split(/(?<=\n)/)
  let at = 0
  return groupSizes.map((size) => Buffer.from(lines.slice(at, (at += size)).join('')))
}
