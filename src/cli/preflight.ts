// Owns: what can be seen to be missing before a run starts: programs that are not on PATH, secrets without a value.
// Says so and lets the run start all the same: an earlier step may install the one, and never need the other.
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
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
