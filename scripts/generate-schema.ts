// Writes schema/pipeline.schema.json from the zod schema of the pipeline file. A test fails when the file is stale.
import { writeFile } from 'node:fs/promises'
import { pipelineJsonSchema } from '../src/pipeline/schema.ts'

await writeFile(
  new URL('../schema/pipeline.schema.json', import.meta.url),
  `${JSON.stringify(pipelineJsonSchema(), null, 2)}\n`,
)
