// Owns: which files the tools may touch: inside the working directory, also when links lead elsewhere, unless everything is
// allowed. Commands are not held back by it: they run as the user who started the run.
import { readlink, realpath } from 'node:fs/promises'
import path from 'node:path'

/** A refusal that the model is told. */
export class ToolError extends Error {}

export class Workspace {
  readonly root: string
  readonly #confined: boolean

  /** @param root absolute @param confined false: any path will do */
  constructor(root: string, confined: boolean) {
    this.root = root
    this.#confined = confined
  }

  /**
   * The absolute path that a name means, its links followed as far as it exists. Throws a ToolError for what is outside.
   * Whoever changes links between this and the use is the same user; it is a guard against mistakes, not an attacker.
   */
  async resolve(name: string): Promise<string> {
    if (name === '' || name.includes('\0')) throw new ToolError('the path is empty or not valid')
    const wanted = path.resolve(this.root, name)
    const real = await realPathOf(wanted)
    if (!this.#confined) return real
    const root = await realPathOf(this.root)
    if (real !== root && !real.startsWith(root.endsWith(path.sep) ? root : root + path.sep)) {
      const through = path.relative(this.root, wanted).startsWith('..') ? '' : ' (through a link)'
      throw new ToolError(`${name} is outside of the workspace${through}: only paths below ${this.root} may be used`)
    }
    return real
  }
}

const LINKS = 40

/** As realpath, for paths whose last parts do not exist yet; a dangling link is followed to where it would lead. */
async function realPathOf(wanted: string, depth = 0): Promise<string> {
  if (depth > LINKS) throw new ToolError(`${wanted} goes through too many links`)
  try {
    return await realpath(wanted)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw new ToolError(`${wanted} cannot be used: ${code ?? String(error)}`)
  }
  const parent = path.dirname(wanted)
  if (parent === wanted) return wanted
  const real = path.join(await realPathOf(parent, depth + 1), path.basename(wanted))
  const target = await linkTarget(real)
  return target === undefined ? real : realPathOf(path.resolve(path.dirname(real), target), depth + 1)
}

async function linkTarget(file: string): Promise<string | undefined> {
  try {
    return await readlink(file)
  } catch {
    return undefined
  }
}
