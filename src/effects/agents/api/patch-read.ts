// Owns: reading what models send as a patch: unified diffs, `*** Begin Patch` and mixtures of both, with line numbers,
// counts and ends that may be wrong or missing. Nothing is decided by numbers; where a hunk belongs is patch-place.ts's.
import { PatchProblem, type PatchStyle } from './patch-problem.ts'

export interface PatchLine {
  readonly op: ' ' | '-' | '+'
  readonly text: string
  /** As written, when the mark may have been forgotten: an unmarked line, or the mark was taken for a blank. */
  readonly raw: string
  /** Line of the patch, from 1. */
  readonly at: number
  /** `\ No newline at end of file` follows. */
  noEnd?: boolean
}

export interface Hunk {
  /** Line of the patch, from 1. */
  readonly at: number
  readonly lines: PatchLine[]
  /** Line number that its header names; a hint. */
  readonly near?: number | undefined
  /** Text after `@@`: a line above the place. */
  readonly anchor?: string | undefined
  /** Its end is the end of the file. */
  atEnd?: boolean
}

export interface PatchSection {
  kind: 'add' | 'delete' | 'update'
  path: string
  moveTo?: string | undefined
  /** Names carry the prefixes a/ and b/. */
  prefixed: boolean
  readonly at: number
  readonly hunks: Hunk[]
}

const NOISE =
  /^(?:index [0-9a-f]+\.\.|old mode |new mode |new file mode |deleted file mode |similarity index |dissimilarity index |copy from |copy to |Index: |=+$)/
const HUNK = /^@@+(?: -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@)?(.*)$/
const FILE = /^\*\*\* (Add|Update|Delete) File: *(.+?) *$/i

/** The sections of a patch. Throws a PatchProblem that names the line. */
export function readPatch(text: string): { readonly sections: readonly PatchSection[]; readonly style: PatchStyle } {
  return new PatchReader(text.split(/\r?\n/)).read()
}

class PatchReader {
  readonly #lines: readonly string[]
  readonly #sections: PatchSection[] = []
  #style: PatchStyle | undefined
  #at = 0
  #section: PatchSection | undefined
  #hunk: Hunk | undefined
  /** Names of `diff --git`, for a section that has no `---`. */
  #git: { from: string; to: string; at: number } | undefined

  constructor(lines: readonly string[]) {
    this.#lines = lines
  }

  read(): { sections: readonly PatchSection[]; style: PatchStyle } {
    for (this.#at = 0; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at]!
      if (!this.#header(line)) this.#body(line)
    }
    this.#closeGit()
    for (const section of this.#sections) for (const hunk of section.hunks) dropTrailingBlanks(hunk)
    return { sections: this.#sections, style: this.#style ?? 'unified' }
  }

  /** Line of the patch, from 1. */
  get #number(): number {
    return this.#at + 1
  }

  #header(line: string): boolean {
    return this.#starHeader(line) || this.#gitHeader(line) || this.#unifiedHeader(line) || this.#hunkHeader(line)
  }

  #starHeader(line: string): boolean {
    if (!line.startsWith('*** ') || line === '*** 0') return false
    if (/^\*\*\* (?:Begin|End) Patch\b/i.test(line)) {
      this.#style = 'begin'
      if (/^\*\*\* End/i.test(line)) this.#section = this.#hunk = undefined
      return true
    }
    if (/^\*\*\* End of File/i.test(line)) {
      if (this.#hunk) this.#hunk.atEnd = true
      return true
    }
    const move = /^\*\*\* Move to: *(.+?) *$/i.exec(line)
    if (move) {
      if (!this.#section) throw new PatchProblem('there is no file to move', this.#number, line)
      this.#section.moveTo = cleanPath(move[1]!)
      return true
    }
    const file = FILE.exec(line)
    if (!file) return false
    this.#style = 'begin'
    this.#open(file[1]!.toLowerCase() as PatchSection['kind'], cleanPath(file[2]!), false)
    return true
  }

  #gitHeader(line: string): boolean {
    const git = /^diff --git (?:"?a\/)(.+?)"? (?:"?b\/)(.+?)"?$/.exec(line)
    if (git) {
      this.#closeGit()
      this.#style ??= 'unified'
      this.#section = this.#hunk = undefined
      this.#git = { from: git[1]!, to: git[2]!, at: this.#number }
      return true
    }
    if (this.#hunk) return false
    const rename = /^rename (from|to) (.+)$/.exec(line)
    if (rename && this.#git) {
      this.#git[rename[1] as 'from' | 'to'] = rename[2]!
      return true
    }
    if (/^(?:Binary files|GIT binary patch)/.test(line))
      throw new PatchProblem('binary files cannot be patched: use shell', this.#number, line)
    return line.startsWith('diff ') || NOISE.test(line)
  }

  /** A rename, a new or a deleted file that has no hunks. */
  #closeGit(): void {
    const git = this.#git
    this.#git = undefined
    if (!git) return
    const noise = this.#lines.slice(git.at, this.#at)
    if (noise.some((line) => line.startsWith('deleted file mode'))) this.#open('delete', git.from, false)
    else if (noise.some((line) => line.startsWith('new file mode'))) this.#open('add', git.to, false)
    else if (git.from !== git.to) this.#open('update', git.from, false).moveTo = git.to
  }

  /** `--- a` and `+++ b`, or one of them before a hunk. In a hunk they may as well be changed lines. */
  #unifiedHeader(line: string): boolean {
    const next = this.#lines[this.#at + 1] ?? ''
    const after = this.#lines[this.#at + 2] ?? ''
    const pair = line.startsWith('--- ') && next.startsWith('+++ ')
    if (this.#hunk && pair && !isStart(after) && after !== '') return false
    const single = (line.startsWith('--- ') || line.startsWith('+++ ')) && next.startsWith('@@')
    const deletion = line.startsWith('--- ') && !this.#hunk
    if (!pair && !single && !deletion) return false
    this.#style ??= 'unified'
    const old = pathIn(line)
    const fresh = pair ? pathIn(next) : old
    const git = this.#git
    this.#git = undefined
    // `*** Update File:` said already which file this is.
    const same = this.#section && this.#section.hunks.length === 0 && this.#section.kind === 'update' && !git
    if (pair) this.#at++
    if (same) return true
    const prefixed = (old === NOTHING || old.startsWith('a/')) && (fresh === NOTHING || fresh.startsWith('b/'))
    const from = prefixed ? old.replace(/^a\//, '') : old
    const to = prefixed ? fresh.replace(/^b\//, '') : fresh
    if (old === NOTHING) this.#open('add', to, prefixed)
    else if (fresh === NOTHING) this.#open('delete', from, prefixed)
    else {
      const section = this.#open('update', from, prefixed)
      if (from !== to && (git || prefixed)) section.moveTo = to
    }
    return true
  }

  #hunkHeader(line: string): boolean {
    const header = line.startsWith('@@') ? HUNK.exec(line) : null
    if (!header) return false
    if (!this.#section) {
      const git = this.#git
      if (!git) throw new PatchProblem('no file is named before this hunk', this.#number, line)
      this.#git = undefined
      this.#open('update', git.from, false)
    }
    const [, near, rest = ''] = header
    const anchor = rest.replace(/ *@@ *$/, '').trim()
    this.#hunk = {
      at: this.#number,
      lines: [],
      ...(near !== undefined && { near: Number(near) }),
      // After numbers stands the name of a function, which may be far above.
      ...(near === undefined && anchor !== '' && !/^-\d/.test(anchor) && { anchor }),
    }
    this.#section!.hunks.push(this.#hunk)
    return true
  }

  #body(line: string): void {
    const section = this.#section
    if (!section) return
    if (line.startsWith('\\ ')) {
      const last = this.#hunk?.lines.at(-1)
      if (last) last.noEnd = true
      return
    }
    if (!this.#hunk) {
      if (line.trim() === '' && section.kind !== 'add') return
      if (section.kind === 'delete') throw new PatchProblem('a deleted file has no lines', this.#number, line)
      this.#hunk = { at: this.#number, lines: [] }
      section.hunks.push(this.#hunk)
    }
    const op = line[0]
    const marked = op === ' ' || op === '-' || op === '+'
    this.#hunk.lines.push({
      op: marked ? op : ' ',
      text: marked ? line.slice(1) : line,
      raw: line,
      at: this.#number,
    })
  }

  #open(kind: PatchSection['kind'], path: string, prefixed: boolean): PatchSection {
    if (path === '' || path === NOTHING)
      throw new PatchProblem('the file has no name', this.#number, this.#lines[this.#at] ?? '')
    this.#hunk = undefined
    this.#section = { kind, path, prefixed, at: this.#number, hunks: [] }
    this.#sections.push(this.#section)
    return this.#section
  }
}

const NOTHING = '/dev/null'

const isStart = (line: string): boolean => line.startsWith('@@') || line.startsWith('*** ') || line.startsWith('diff ')

/** The name in `--- name<tab>time`. */
const pathIn = (line: string): string => cleanPath(line.slice(4).split('\t')[0]!)

const cleanPath = (name: string): string => {
  const path = name.trim().replace(/^(["'`])(.*)\1$/, '$2')
  return path.startsWith('./') ? path.slice(2) : path
}

/** Blank lines before the next header, or at the end of the patch, belong to nobody. */
function dropTrailingBlanks({ lines }: Hunk): void {
  while (lines.at(-1)?.raw === '') lines.pop()
}
