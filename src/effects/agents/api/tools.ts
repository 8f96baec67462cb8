// Owns: the tools that the model is offered, and what each does. Their words are part of the prompt. Must not: decide
// when one is called.
import { z } from 'zod'
import { readText, writeText } from './files.ts'
import { applyPatch } from './patch.ts'
import type { ToolName } from './protocol.ts'
import { runShell } from './shell.ts'
import { ToolError, type Workspace } from './workspace.ts'

export interface ToolContext {
  readonly workspace: Workspace
  /** Who asks: which form of a patch it knows best. */
  readonly model: string
  readonly env: NodeJS.ProcessEnv
  readonly commandTimeoutMs: number
  readonly signal: AbortSignal
}

export interface ToolAnswer {
  readonly ok: boolean
  readonly output: string
  readonly exitCode?: number | undefined
  readonly error?: string | undefined
}

interface Tool {
  readonly description: string
  readonly input: z.ZodObject
  readonly run: (input: never, context: ToolContext) => Promise<ToolAnswer>
}

const READ_LINES = 2_000
const READ_CHARS = 64_000

const file = z.string().describe('Path, relative to the working directory')

function defineTool<T extends z.ZodObject>(
  description: string,
  input: T,
  run: (input: z.infer<T>, context: ToolContext) => Promise<ToolAnswer>,
): Tool {
  return { description, input, run }
}

export const TOOLS: Readonly<Record<ToolName, Tool>> = {
  shell: defineTool(
    'Run a command with /bin/sh in the working directory. Nobody can answer questions it asks. Its output and exit code come back; long output is shown with its beginning and its end.',
    z.object({
      command: z.string(),
      timeout_seconds: z.number().positive().optional().describe('Ended after so long. Has an upper limit.'),
    }),
    shell,
  ),
  read: defineTool(
    'Read a text file. Long files come in parts: give the first line and how many.',
    z.object({
      path: file,
      first_line: z.number().int().positive().optional(),
      lines: z.number().int().positive().optional(),
    }),
    read,
  ),
  write: defineTool(
    'Write a whole file, in place of what it held. Missing directories are made.',
    z.object({ path: file, content: z.string() }),
    write,
  ),
  edit: defineTool(
    'Replace a text in a file by another one. The old text must be in the file exactly once, unless all of them are to be replaced.',
    z.object({ path: file, old_text: z.string(), new_text: z.string(), all: z.boolean().optional() }),
    edit,
  ),
  patch: defineTool(
    'Change several places or files at once. Takes a unified diff (`--- a/file`, `+++ b/file`, `@@`, lines that begin with a space, - or +) or the form `*** Begin Patch` / `*** Update File: path` / `@@` / … / `*** End Patch` (also `*** Add File: path` with + lines and `*** Delete File: path`). All of it is applied or nothing.',
    z.object({ patch: z.string() }),
    async ({ patch }, { workspace, model }) => ({ ok: true, output: await applyPatch(patch, workspace, model) }),
  ),
}

/** Never rejects: what went wrong is told to the model. */
export async function runTool(name: string, input: unknown, context: ToolContext): Promise<ToolAnswer> {
  const tool = Object.hasOwn(TOOLS, name) ? TOOLS[name as ToolName] : undefined
  if (!tool) return failed(`there is no tool ${name}`)
  const parsed = tool.input.safeParse(input)
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`)
    return failed(`the input of ${name} is not valid: ${issues.join('; ')}`)
  }
  try {
    return await tool.run(parsed.data as never, context)
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error))
  }
}

const failed = (error: string): ToolAnswer => ({ ok: false, output: error, error })

async function shell(
  { command, timeout_seconds }: { command: string; timeout_seconds?: number | undefined },
  context: ToolContext,
): Promise<ToolAnswer> {
  const limit = context.commandTimeoutMs
  const timeoutMs = timeout_seconds === undefined ? limit : Math.min(limit, timeout_seconds * 1000)
  const { output, exitCode, problem } = await runShell(command, {
    cwd: context.workspace.root,
    env: context.env,
    timeoutMs,
    signal: context.signal,
  })
  const end = problem ?? (exitCode === 0 ? undefined : `exit code ${exitCode}`)
  const shown = [output, end === undefined ? '' : `[${end}]`].filter((part) => part !== '').join('\n')
  return {
    ok: end === undefined,
    output: shown === '' ? '[no output, exit code 0]' : shown,
    exitCode,
    ...(end !== undefined && { error: end }),
  }
}

async function read(
  {
    path: name,
    first_line = 1,
    lines = READ_LINES,
  }: { path: string; first_line?: number | undefined; lines?: number | undefined },
  { workspace }: ToolContext,
): Promise<ToolAnswer> {
  const all = (await textOf(workspace, name, false)).split('\n')
  const wanted = all.slice(first_line - 1, first_line - 1 + lines)
  const kept: string[] = []
  let size = 0
  for (const text of wanted) {
    size += text.length + 1
    if (size > READ_CHARS && kept.length > 0) break
    kept.push(text.slice(0, READ_CHARS))
  }
  const last = first_line - 1 + kept.length
  const more = last < all.length ? `\n[lines ${first_line} to ${last} of ${all.length}]` : ''
  return { ok: true, output: kept.join('\n') + more }
}

async function write(
  { path: name, content }: { path: string; content: string },
  { workspace }: ToolContext,
): Promise<ToolAnswer> {
  await writeText(await workspace.resolve(name), name, content)
  return { ok: true, output: `wrote ${Buffer.byteLength(content)} bytes to ${name}` }
}

interface Edit {
  readonly path: string
  readonly old_text: string
  readonly new_text: string
  readonly all?: boolean | undefined
}

async function edit({ path: name, old_text, new_text, all }: Edit, { workspace }: ToolContext): Promise<ToolAnswer> {
  if (old_text === '') throw new ToolError('old_text is empty: use write for a new file')
  const text = await textOf(workspace, name, true)
  // Models write \n also where the file has \r\n.
  const crlf = !text.includes(old_text) && text.includes('\r\n')
  const [old, fresh] = crlf ? [toCrlf(old_text), toCrlf(new_text)] : [old_text, new_text]
  const count = text.split(old).length - 1
  if (count === 0) throw new ToolError(`old_text is not in ${name}: read the file and copy the text exactly`)
  if (count > 1 && all !== true)
    throw new ToolError(`old_text is ${count} times in ${name}: give more lines around it, or set all`)
  await writeText(await workspace.resolve(name), name, text.split(old).join(fresh))
  return { ok: true, output: `replaced ${count} ${count === 1 ? 'place' : 'places'} in ${name}` }
}

const toCrlf = (text: string): string => text.replaceAll(/\r?\n/g, '\r\n')

/** Contents of a text file of the workspace. @param exact it will be written back */
async function textOf(workspace: Workspace, name: string, exact: boolean): Promise<string> {
  const found = await readText(await workspace.resolve(name), name, exact)
  if (!found) throw new ToolError(`${name} does not exist`)
  return found.text
}
