// Owns: one run of a pipeline of agent nodes against a scripted provider, and what it left: records, events, ends. Each
// node has its own place in the provider's script: the key of its id.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { AgentRecord } from '../../../src/effects/agents/record.ts'
import type { CliResult, RunningCli } from '../../support/cli.ts'
import type { Scenario } from './scripted-provider.mjs'
import { openSession, type RunChanges, type Session } from './session.ts'

type Keys = Readonly<Record<string, unknown>>

export interface AgentNode {
  readonly id?: string
  /** Over the defaults of `agent:`. */
  readonly agent?: Keys
  /** More keys of the node. */
  readonly keys?: Keys & { readonly env?: Readonly<Record<string, string>> }
}

export interface Told {
  readonly type: string
  readonly recorded_at: string
  readonly [field: string]: unknown
}

export interface AgentRunOptions {
  /** What all nodes' `agent:` have. */
  readonly agent: Keys
  /** Environment of a node: its own place in the provider's script. */
  readonly env: (session: Session, id: string) => Readonly<Record<string, string>>
}

export class AgentRun {
  readonly session: Session
  readonly #options: AgentRunOptions

  private constructor(session: Session, options: AgentRunOptions) {
    this.session = session
    this.#options = options
  }

  /** `scenario.turns` are those of the node `work`. */
  static async open(scenario: Scenario, options: AgentRunOptions): Promise<AgentRun> {
    const { turns, after, keys } = scenario
    const work: Scenario = { ...(turns && { turns }), ...(after && { after }) }
    return new AgentRun(await openSession({ keys: { work, ...keys } }), options)
  }

  run(nodes: readonly AgentNode[] = [{}], keys: Keys = {}, changes: RunChanges = {}): Promise<CliResult> {
    return this.session.run(this.pipeline(nodes, keys), changes)
  }

  start(nodes: readonly AgentNode[] = [{}], keys: Keys = {}): RunningCli {
    return this.session.start(this.pipeline(nodes, keys))
  }

  /** YAML is a superset of JSON. */
  pipeline(nodes: readonly AgentNode[], keys: Keys = {}): string {
    return JSON.stringify({
      name: 'agents',
      ...keys,
      nodes: nodes.map(({ id = 'work', agent, keys: own }) => ({
        id,
        agent: { prompt: 'Do what is to be done.', ...this.#options.agent, ...agent },
        ...own,
        env: { ...this.#options.env(this.session, id), ...own?.env },
      })),
    })
  }

  get directory(): string {
    const runs = path.join(this.session.cwd, '.spanwright/runs')
    return path.join(runs, readdirSync(runs)[0]!)
  }
  read(...names: readonly string[]): string {
    return readFileSync(path.join(this.directory, ...names), 'utf8')
  }
  record(node = 'work', attempt = '1.1'): AgentRecord {
    return JSON.parse(this.read('attempts', node, attempt, 'agent.json')) as AgentRecord
  }
  final(): Keys & { readonly totals: { readonly cost_usd: number } } {
    return JSON.parse(this.read('final.json')) as Keys & { totals: { cost_usd: number } }
  }
  events(type: string): Told[] {
    return this.read('journal.ndjson')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { at: string; event: Told })
      .filter(({ event }) => event.type === type)
      .map(({ at, event }) => ({ ...event, recorded_at: at }))
  }
  /** Failure codes of a node's attempts, undefined for those that succeeded. */
  codes(node = 'work'): (string | undefined)[] {
    return this.events('attempt.finished')
      .filter((event) => event['node'] === node)
      .map((event) => (event['failure'] as { code: string } | undefined)?.code)
  }
  /** Requests of a node's agent that reached the provider. */
  requests(node = 'work'): Session['provider']['requests'] {
    return this.session.provider.requests.filter((request) => request.key === node && request.main === true)
  }
}
