// Owns: what can be known about agents before a run starts: is the client there, which version, does it know our flags, has
// it credentials, can its cost be counted where a budget needs that. All problems at once; nothing is started for good.
import { homedir } from 'node:os'
import path from 'node:path'
import type { AgentChoice, AgentSpec } from '../../core/agent.ts'
import type { AgentNode, Budget, Node, Pipeline } from '../../core/pipeline.ts'
import type { AgentAdapter } from './adapter.ts'
import { adapterOf } from './agents.ts'
import { onlyAllowed } from './attempt-request.ts'
import { clientFacts, findProgram, isKnownVersion } from './client-version.ts'
import { NO_TOKENS } from './spending.ts'

export interface AgentPreflight {
  /** What would make an attempt fail for sure: the run must not start. */
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
}

export interface PreflightGround {
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** Where what was found out about clients is kept. */
  readonly cache: string
  /** Ask each agent a cheap question too. */
  readonly probe: boolean
}

/** One agent that a node may use: the first choice, a fallback or the escalation. */
interface Use {
  readonly path: string
  readonly spec: AgentSpec
  readonly env: NodeJS.ProcessEnv
  readonly budgets: readonly Budget[]
  readonly prices: Pipeline['prices']
}

/** Looks at every agent of the pipeline, those of branches and child pipelines included. */
export async function agentPreflight(pipeline: Pipeline, ground: PreflightGround): Promise<AgentPreflight> {
  const problems = new Set<string>()
  const warnings = new Set<string>()
  const clients = new Map<string, Promise<void>>()
  for (const use of usesOf(pipeline, ground.env)) {
    const adapter = adapterOf(use.spec.use)
    const program = use.spec.program ?? adapter.program
    const credentials = isLiteral(use.spec)
      ? adapter.credentialProblem(use.spec, definedOnly(use.env), use.env['HOME'] ?? homedir())
      : undefined
    if (credentials !== undefined) problems.add(`${use.path}: ${credentials}`)
    const unfit = isLiteral(use.spec) ? adapter.unsupported?.(use.spec, definedOnly(use.env)) : undefined
    if (unfit !== undefined) problems.add(`${use.path}: ${use.spec.use}: ${unfit}`)
    const uncounted = await uncountedCost(use, adapter)
    if (uncounted !== undefined) problems.add(uncounted)
    if (program === undefined || program.includes('${{')) continue
    const file = findProgram(program, use.env, ground.cwd)
    if (file === undefined) {
      problems.add(
        `${use.path}: agent ${use.spec.use} needs the program \`${program}\`, which is not on PATH: install it, or name it with agent.program`,
      )
      continue
    }
    const key = `${adapter.name} ${file}`
    if (!clients.has(key)) clients.set(key, lookAt(adapter, file, ground, { problems, warnings }))
  }
  await Promise.all(clients.values())
  if (ground.probe && problems.size === 0) await askAll(pipeline, ground, problems)
  return { problems: [...problems], warnings: [...warnings] }
}

/** Each agent and model once, all at the same time. What is only known at run time cannot be asked. */
async function askAll(pipeline: Pipeline, ground: PreflightGround, problems: Set<string>): Promise<void> {
  const { probeAgent } = await import('./probe.ts')
  const asked = new Map<string, Promise<void>>()
  for (const { path: at, spec, env } of usesOf(pipeline, ground.env)) {
    const { use, model, program, base_url: url, args } = spec
    const key = JSON.stringify([use, model, program, url, args, env['HOME']])
    if (use === 'command' || key.includes('${{') || asked.has(key)) continue
    const tell = (problem: string | undefined): void => {
      if (problem !== undefined)
        problems.add(`${at}: ${use}${model === undefined ? '' : ` (${model})`} does not answer: ${problem}`)
    }
    asked.set(key, probeAgent(adapterOf(use), spec, definedOnly(env)).then(tell))
  }
  await Promise.all(asked.values())
}

async function lookAt(
  adapter: AgentAdapter,
  file: string,
  ground: PreflightGround,
  { problems, warnings }: { readonly problems: Set<string>; readonly warnings: Set<string> },
): Promise<void> {
  // A program under another name may not know the question, and take it for its work.
  if (adapter.versions.length === 0 || path.basename(file) !== adapter.program) return
  const { version, missingFlags } = await clientFacts(adapter, file, ground.env, ground.cache)
  const known = adapter.versions.join(', ')
  if (version === undefined) warnings.add(`${file} does not tell its version; known are ${known}`)
  else if (!isKnownVersion(version, adapter.versions))
    warnings.add(`${adapter.name} ${version} is not known (known are ${known}): what it prints may be misread`)
  if (missingFlags.length > 0)
    problems.add(`${file} does not know ${missingFlags.join(', ')}: install ${adapter.name} ${known}`)
}

/** A budget in dollars that is enforced has to see every dollar. */
async function uncountedCost(
  { path: at, spec, budgets, prices }: Use,
  adapter: AgentAdapter,
): Promise<string | undefined> {
  if (adapter.reportsCost || spec.use === 'command' || spec.model === undefined || spec.model.includes('${{'))
    return undefined
  if (!budgets.some((budget) => budget.mode === 'enforce' && budget.usd !== undefined)) return undefined
  const { priceOf } = await import('./pricing.ts')
  const price = priceOf(spec.model, { ...NO_TOKENS, input: 1_000, output: 1_000 }, prices ?? {}, {
    provider: spec.provider,
    baseUrl: spec.base_url,
  })
  if (price !== undefined) return undefined
  return `${at}: the budget in usd cannot be measured, because the model ${spec.model} has no known price: add it to \`prices:\`, or set the budget's mode to audit`
}

/** What is around a pipeline: nothing, or the one whose child it is. */
interface Around {
  readonly prefix: string
  readonly budgets: readonly Budget[]
  /** `env:` of pipelines. */
  readonly declared: Readonly<Record<string, string>>
  readonly secrets: readonly string[]
}
const OUTERMOST: Around = { prefix: '', budgets: [], declared: {}, secrets: [] }

function* usesOf(pipeline: Pipeline, env: NodeJS.ProcessEnv, around = OUTERMOST): Generator<Use> {
  const budgets = pipeline.budget ? [...around.budgets, pipeline.budget] : around.budgets
  const declared = { ...around.declared, ...pipeline.env }
  const secrets = [...around.secrets, ...pipeline.secrets]
  for (const { node, path: at, around: fanouts } of nodesOf(pipeline.nodes, around.prefix)) {
    const paying = [...budgets, ...fanouts, ...(node.budget ? [node.budget] : [])]
    if (node.kind === 'child')
      yield* usesOf(node.child.pipeline, env, { prefix: `${at}/`, budgets: paying, declared, secrets })
    if (node.kind !== 'agent') continue
    const { agent } = node
    const own = { ...inheritedBy(node, env, secrets), ...declared, ...node.env }
    const others: readonly AgentChoice[] = [...agent.fallback, ...(agent.escalate ? [agent.escalate] : [])]
    for (const choice of [agent, ...others])
      yield { path: at, spec: { ...agent, ...choice }, env: own, budgets: paying, prices: pipeline.prices }
  }
}

/** Secrets reach only who lists them, whatever `env_allow` says. */
function inheritedBy({ agent, secrets }: AgentNode, env: NodeJS.ProcessEnv, all: readonly string[]): NodeJS.ProcessEnv {
  const open = definedOnly(Object.fromEntries(Object.entries(env).filter(([name]) => !all.includes(name))))
  const allowed = agent.env_allow ? onlyAllowed(open, agent.env_allow) : open
  return { ...allowed, ...Object.fromEntries(secrets.map((name) => [name, env[name]])) }
}

interface Found {
  readonly node: Node
  readonly path: string
  /** Budgets of the fan-outs around it. */
  readonly around: readonly Budget[]
}

function* nodesOf(nodes: readonly Node[], prefix: string, around: readonly Budget[] = []): Generator<Found> {
  for (const node of nodes) {
    const at = `${prefix}${node.id}`
    yield { node, path: at, around }
    if (node.kind !== 'fanout') continue
    const inner = node.budget ? [...around, node.budget] : around
    yield* nodesOf(node.fanout.nodes, `${at}/`, inner)
    if ('branches' in node.fanout.over)
      for (const [key, lane] of Object.entries(node.fanout.over.branches)) yield* nodesOf(lane, `${at}:${key}/`, inner)
  }
}

/** Where it asks, with which key and which tools, is known before the run. */
const isLiteral = ({ base_url: url, api_key_env: key, model, args, ...rest }: AgentSpec): boolean =>
  ![url, key, model, ...args, ...(rest.allowed_tools ?? []), ...(rest.denied_tools ?? [])].some((text) =>
    text?.includes('${{'),
  )

const definedOnly = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined))
