// Owns: the patch tool: from what the model sent to changed files, all of them or none. Must not: read what is not meant
// clearly; then the model is told how it should look.
import { readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { readText, writeText } from './files.ts'
import { applyHunks } from './patch-place.ts'
import { explain, PatchProblem, preferredStyle, type PatchStyle } from './patch-problem.ts'
import { readPatch, type Hunk, type PatchSection } from './patch-read.ts'
import { elides, unwrap, wholeFiles, type WholeFile } from './patch-unwrap.ts'
import { ToolError, type Workspace } from './workspace.ts'

interface Change {
  readonly target: string
  /** Null: it goes. */
  readonly content: string | null
  readonly mode?: number | undefined
  readonly said: string
}

/** Applies it and says what was changed. Throws a ToolError with the reason and the right form; then nothing was changed. */
export async function applyPatch(sent: string, workspace: Workspace, model: string): Promise<string> {
  const whole = wholeFiles(sent)
  const plan = new Plan(workspace)
  let style: PatchStyle = preferredStyle(model)
  try {
    if (whole) {
      for (const file of whole) await plan.replace(file)
    } else {
      const text = unwrap(sent)
      if (/^(?:\*\*\* |--- |diff --git |@@)/m.test(text)) style = /^\*\*\* /m.test(text) ? 'begin' : 'unified'
      const { sections } = readPatch(text)
      if (sections.length === 0) throw noPatch(text)
      for (const section of sections) await plan.add(section)
    }
    return await plan.carryOut()
  } catch (error) {
    if (!(error instanceof PatchProblem)) throw error
    throw new ToolError(explain(error, style, await plan.linesOf(error.path)))
  }
}

function noPatch(text: string): PatchProblem {
  const lines = text.split('\n')
  const at = lines.findIndex((line) => line.trim() !== '')
  return at < 0
    ? new PatchProblem('the patch is empty')
    : new PatchProblem('it names no file to change', at + 1, lines[at])
}

class Plan {
  readonly #workspace: Workspace
  readonly #changes: Change[] = []
  /** What files are after the changes planned so far. */
  readonly #planned = new Map<string, string | null>()

  constructor(workspace: Workspace) {
    this.#workspace = workspace
  }

  async add(section: PatchSection): Promise<void> {
    const name = await this.#nameOf(section)
    try {
      if (section.kind === 'add') await this.#create(name, section)
      else if (section.kind === 'delete') await this.#delete(name)
      else await this.#update(name, section)
    } catch (error) {
      if (error instanceof PatchProblem) error.path ??= name
      throw error
    }
  }

  async #create(name: string, section: PatchSection): Promise<void> {
    const target = await this.#workspace.resolve(name)
    const content = newContent(section.hunks)
    const there = await this.#read(target)
    if (there !== undefined && there !== content)
      throw new PatchProblem('it exists already: update it, or use write to replace all of it', section.at, name)
    this.#change({ target, content, said: `A ${name}` })
  }

  async #delete(name: string): Promise<void> {
    const target = await this.#workspace.resolve(name)
    if ((await this.#read(target, false)) === undefined) throw new PatchProblem('there is no such file to delete')
    this.#change({ target, content: null, said: `D ${name}` })
  }

  async #update(name: string, section: PatchSection): Promise<void> {
    const { hunks, moveTo, at } = section
    const target = await this.#workspace.resolve(name)
    const text = await this.#read(target)
    if (text === undefined) {
      const old = hunks.some((hunk) => hunk.lines.some((line) => line.op !== '+'))
      if (!old && hunks.length > 0) return this.#create(name, section)
      throw new PatchProblem('there is no such file to update', at, name)
    }
    if (hunks.length === 0 && moveTo === undefined) throw new PatchProblem('it has no changed lines', at, name)
    const { text: content, notes } = applyHunks(text, hunks)
    if (content === text && moveTo === undefined) throw new PatchProblem('it changes nothing', at, name)
    const told = notes.map((note) => `\n  (${note})`).join('')
    if (moveTo === undefined) return this.#change({ target, content, said: `M ${name}${told}` })
    const destination = await this.#workspace.resolve(moveTo)
    if (destination !== target && (await this.#read(destination)) !== undefined)
      throw new PatchProblem(`${moveTo} exists already`, at, moveTo)
    const mode = await modeOf(target)
    this.#change({ target, content: null, said: `R ${name} to ${moveTo}${told}` })
    this.#change({ target: destination, content, mode, said: '' })
  }

  /** A file that was sent as a whole. */
  async replace({ path: name, content }: WholeFile): Promise<void> {
    const target = await this.#workspace.resolve(name)
    const there = await this.#read(target)
    if (there !== undefined && (elides(content) || content.length < there.length / 2)) {
      const problem = new PatchProblem('this looks like a part of the file, not like all of it: send a patch')
      problem.path = name
      throw problem
    }
    this.#change({ target, content, said: `${there === undefined ? 'A' : 'M'} ${name} (sent as a whole)` })
  }

  #change(change: Change): void {
    this.#changes.push(change)
    this.#planned.set(change.target, change.content)
  }

  /** @param exact its text is needed, not only whether it is there */
  async #read(target: string, exact = true): Promise<string | undefined> {
    const planned = this.#planned.get(target)
    if (planned !== undefined) return planned ?? undefined
    try {
      return (await readText(target, path.basename(target), exact))?.text
    } catch (error) {
      if (error instanceof ToolError) throw new PatchProblem(error.message)
      throw error
    }
  }

  /** The name that is meant: prefixes a/ and b/ go, unless only the name with them is there. */
  async #nameOf({ path: name, prefixed }: PatchSection): Promise<string> {
    const exists = async (candidate: string): Promise<boolean> =>
      (await this.#read(await this.#workspace.resolve(candidate)).catch(() => undefined)) !== undefined
    if (prefixed) return !(await exists(name)) && (await exists(`a/${name}`)) ? `a/${name}` : name
    const bare = /^[ab]\/(.+)$/.exec(name)?.[1]
    return bare !== undefined && !(await exists(name)) && (await exists(bare)) ? bare : name
  }

  async linesOf(name: string | undefined): Promise<string[]> {
    if (name === undefined) return []
    const text = await this.#workspace
      .resolve(name)
      .then(async (target) => (await readText(target, name, false))?.text ?? '')
      .catch(() => '')
    return text.split(/\r?\n/)
  }

  /** Writes all of it; what was written is put back when a later part fails. */
  async carryOut(): Promise<string> {
    const before = new Map<string, { readonly content: Buffer; readonly mode: number | undefined } | null>()
    try {
      for (const { target, content, mode } of this.#changes) {
        if (!before.has(target)) before.set(target, await kept(target))
        await put(target, content, mode)
      }
    } catch (error) {
      for (const [target, old] of before) await put(target, old?.content ?? null, old?.mode).catch(() => {})
      throw new ToolError(`Nothing was changed: ${error instanceof Error ? error.message : String(error)}`)
    }
    return this.#changes.flatMap(({ said }) => (said === '' ? [] : [said])).join('\n')
  }
}

async function put(target: string, content: string | Buffer | null, mode: number | undefined): Promise<void> {
  if (content === null) return rm(target, { force: true })
  await writeText(target, path.basename(target), content, mode)
}

const modeOf = async (target: string): Promise<number | undefined> => {
  const found = await stat(target).catch(() => undefined)
  return found && found.mode & 0o7777
}

/** As it is now, to be put back; it was found to be a file when the change was planned. */
async function kept(target: string): Promise<{ readonly content: Buffer; readonly mode: number | undefined } | null> {
  const content = await readFile(target).catch(() => null)
  return content && { content, mode: await modeOf(target) }
}

/** The lines of a new file; the marks may be missing in front of all of them. */
function newContent(hunks: readonly Hunk[]): string {
  const lines = hunks.flatMap((hunk) => hunk.lines)
  const removed = lines.find((line) => line.op === '-')
  if (removed) throw new PatchProblem('a new file has + lines only', removed.at, removed.raw)
  const marked = lines.some((line) => line.op === '+')
  const unmarked = marked ? lines.find((line) => line.op !== '+' && line.raw.trim() !== '') : undefined
  if (unmarked) throw new PatchProblem('a new file has + lines only', unmarked.at, unmarked.raw)
  const text = lines.map((line) => `${marked ? line.text : line.raw}\n`).join('')
  return lines.at(-1)?.noEnd ? text.slice(0, -1) : text
}
