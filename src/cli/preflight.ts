// Owns: what can be seen to be missing before a run starts. Programs that are not on PATH and secrets without a value are
// said and the run starts all the same: an earlier step may install the one, and never need the other. An agent that
// cannot work, or a directory that cannot be written, stands in the way: all such problems are told at once.
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { SpanwrightError } from '../core/error.ts'
import type { CommandLine, Node, Pipeline } from '../core/pipeline.ts'

/** One sentence per thing that is missing. */
export function preflight(pipeline: Pipeline, env: NodeJS.ProcessEnv): string[] {
  const programs = new Map<string, string>()
  const secrets = new Set<string>()
  collect(pipeline, programs, secrets)
  const missing = [...programs].filter(([program]) => !isOnPath(program, env['PATH'] ?? ''))
  return [
    ...missing.map(([program, node]) => `node ${node} runs \`${program}\`, which is not on PATH`),
    ...[...secrets]
      .filter((name) => !env[name])
      .map((name) => `secret ${name} has no value: set the environment variable`),
  ]
}

/** Throws `preflight.failed` with all problems, or says them where nothing is to be refused. */
export async function checkAgents(
  pipeline: Pipeline,
  store: string,
  {
    refuse,
    probe,
    warn,
  }: { readonly refuse: boolean; readonly probe: boolean; readonly warn: (warning: string) => void },
): Promise<void> {
  if (!hasAgents(pipeline)) return
  const { agentPreflight } = await import('../effects/agents/preflight.ts')
  const cwd = process.cwd()
  const { problems, warnings } = await agentPreflight(pipeline, { env: process.env, cwd, cache: store, probe })
  const all = canWrite(cwd) ? problems : [`agents cannot work in ${cwd}: it is not writable`, ...problems]
  for (const warning of refuse ? warnings : [...all, ...warnings]) warn(warning)
  if (!refuse || all.length === 0) return
  const count = all.length === 1 ? '1 problem' : `${all.length} problems`
  throw new SpanwrightError(
    'preflight.failed',
    `nothing was started: ${count} with agents (--skip-preflight starts all the same)`,
    { details: all },
  )
}

const hasAgents = (pipeline: Pipeline): boolean =>
  [...allNodes(pipeline.nodes)].some(
    (node) => node.kind === 'agent' || (node.kind === 'child' && hasAgents(node.child.pipeline)),
  )

function canWrite(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function collect(pipeline: Pipeline, programs: Map<string, string>, secrets: Set<string>): void {
  for (const node of allNodes(pipeline.nodes)) {
    for (const name of node.secrets) secrets.add(name)
    const commands = [...(node.kind === 'run' ? [node.run] : []), ...node.checks.flatMap((check) => check.run ?? [])]
    for (const command of commands) {
      const program = programOf(command)
      if (program !== undefined && !programs.has(program)) programs.set(program, node.id)
    }
    if (node.kind === 'child') collect(node.child.pipeline, programs, secrets)
  }
}

/** Every node, those of branches included. */
function* allNodes(nodes: readonly Node[]): Generator<Node> {
  for (const node of nodes) {
    yield node
    if (node.kind !== 'fanout') continue
    yield* allNodes(node.fanout.nodes)
    if ('branches' in node.fanout.over)
      for (const lane of Object.values(node.fanout.over.branches)) yield* allNodes(lane)
  }
}

/** A program that is looked up on PATH; one with a path may be made by an earlier step. */
function programOf(command: CommandLine): string | undefined {
  const program = 'argv' in command ? command.argv[0] : command.shell
  return program === undefined || program.includes('/') || program.includes('${{') ? undefined : program
}

function isOnPath(program: string, search: string): boolean {
  return search.split(path.delimiter).some((directory) => {
    try {
      accessSync(path.join(directory || '.', program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
