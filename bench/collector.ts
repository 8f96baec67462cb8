// Owns: the benchmark's side of programs/collector.ts: a collector in a process of its own, and how many spans it has.
import { startProgram } from './child.ts'

export interface Collector {
  readonly endpoint: string
  /** Spans received since the last call, markers not counted, each span id once. */
  taken(): Promise<number>
  stop(): void
}

export async function startCollector(): Promise<Collector> {
  const { child, line } = await startProgram('collector')
  const endpoint = `http://127.0.0.1:${line}`
  return {
    endpoint,
    taken: async () => Number(await (await fetch(endpoint)).text()),
    stop: () => void child.kill(),
  }
}
