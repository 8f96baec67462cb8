// Owns: the place of the shell scanner in its source, the script written so far, the variables that expressions became
// and the problems found. Must not: know shell grammar (shell.ts does).
import type { Binding } from '../core/pipeline.ts'

export interface ShellProblem {
  readonly rule: 'shell-quote' | 'shell-eval'
  readonly severity: 'error' | 'warning'
  readonly message: string
  readonly fix: string
  /** Where the expression starts in the source. */
  readonly offset: number
}

const EXPRESSION = /\$\{\{([\s\S]*?)\}\}/g
const MAX_DEPTH = 64
/** How far back the lint looks for the beginning of a command. */
const LINT_CHARS = 4_096
const EVALUATES = /(?:^|[\s;&|(`])(?:eval|let)\s/
const SHELL_STRING =
  /(?:^|[\s;&|(`/])(?:ba|da|z|k|a)?sh\s+(?:-\S+\s+)*-[A-Za-z]*c\s+(?:"(?:[^"\\]|\\[\s\S])*|[^\s"']*)$/
const SHELL_STDIN = /(?:^|[\s;&|(`/])(?:(?:ba|da|z|k|a)?sh|ssh)(?:\s|$)/

/** Reads a script from left to right and writes it again with references in place of expressions. */
export class ShellCursor {
  readonly source: string
  readonly problems: ShellProblem[] = []
  /** Where the current command of each open piece of code begins. */
  readonly commandStarts: number[] = []
  /** The command that the here-document being read belongs to. */
  heredocCommand = ''
  at = 0
  out = ''
  /** Start offset of each expression → its end and text. */
  readonly #expressions = new Map<number, { end: number; text: string }>()
  readonly #names = new Map<string, string>()
  #depth = 0

  constructor(source: string) {
    this.source = source
    for (const match of source.matchAll(EXPRESSION)) {
      this.#expressions.set(match.index, { end: match.index + match[0].length, text: match[1]!.trim() })
    }
  }

  get bindings(): Binding[] {
    return [...this.#names].map(([expression, name]) => ({ name, expression }))
  }

  copy(count: number): void {
    this.out += this.source.slice(this.at, this.at + count)
    this.at += count
  }

  startsWith(text: string): boolean {
    return this.source.startsWith(text, this.at)
  }

  /** Writes a reference if an expression stands here. */
  expression(before: string, after: string): boolean {
    const found = this.#expressions.get(this.at)
    if (!found) return false
    this.#lint()
    let name = this.#names.get(found.text)
    if (!name) this.#names.set(found.text, (name = `SPANWRIGHT_X${this.#names.size + 1}`))
    this.out += `${before}\${${name}}${after}`
    this.at = found.end
    return true
  }

  /** Reports an expression that stands where none can, and passes over it. */
  refuse(message: string, fix: string): boolean {
    const found = this.#expressions.get(this.at)
    if (!found) return false
    this.problems.push({ rule: 'shell-quote', severity: 'error', message, fix, offset: this.at })
    this.at = found.end
    return true
  }

  #lint(): void {
    const texts = this.commandStarts.map((start) => this.source.slice(Math.max(start, this.at - LINT_CHARS), this.at))
    const evaluated =
      texts.some((text) => EVALUATES.test(text) || SHELL_STRING.test(text)) || SHELL_STDIN.test(this.heredocCommand)
    if (!evaluated) return
    this.problems.push({
      rule: 'shell-eval',
      severity: 'warning',
      offset: this.at,
      message:
        'the value becomes part of a script that another shell runs (eval, let, sh -c or a here-document for a shell)',
      fix: `pass it as an argument: sh -c 'echo "$1"' sh \${{ … }}`,
    })
  }

  /** Copies an expression as it is (comments). */
  copyExpression(): boolean {
    const found = this.#expressions.get(this.at)
    if (found) this.copy(found.end - this.at)
    return found !== undefined
  }

  /** Runs `scan` one level deeper; past the limit the rest is copied and reported. */
  nested(scan: () => void): void {
    if (this.#depth < MAX_DEPTH) {
      this.#depth++
      scan()
      this.#depth--
      return
    }
    const fix = 'put the script into a file'
    this.problems.push({
      rule: 'shell-quote',
      severity: 'error',
      message: 'the script nests too deep to be read',
      fix,
      offset: this.at,
    })
    this.copy(this.source.length - this.at)
  }
}
