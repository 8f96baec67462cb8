// Owns: `schema`: the JSON Schema of pipeline files.
import type { CommandFunction } from '../command-table.ts'

export const schema: CommandFunction = async ({ output }) => {
  const { pipelineJsonSchema } = await import('../../pipeline/schema.ts')
  output.json(pipelineJsonSchema())
  return 0
}
