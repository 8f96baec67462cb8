// Owns: `graph`: a pipeline as a drawing for Mermaid or Graphviz.
import type { CommandFunction } from '../command-table.ts'

export const graph: CommandFunction = async ({ args, options, output }) => {
  const { parsePipelineFile } = await import('../../pipeline/load.ts')
  const { toDot, toMermaid } = await import('../../pipeline/render.ts')
  const { pipeline } = await parsePipelineFile(String(args[0]))
  output.result((options['format'] === 'dot' ? toDot(pipeline) : toMermaid(pipeline)).trimEnd())
  return 0
}
