// Owns: turning `${{ e }}` in a shell script into references to environment variables, quoted for the place where they
// stand. A small scanner of shell quoting (POSIX sh and bash). Must not: put a value into the script, or run anything.
import type { Binding } from '../core/pipeline.ts'
import { ShellCursor, type ShellProblem } from './shell-cursor.ts'

export interface ShellScript {
  readonly script: string
  readonly bindings: readonly Binding[]
  readonly problems: readonly ShellProblem[]
}

interface Heredoc {
  readonly delimiter: string
  readonly quoted: boolean
  readonly stripTabs: boolean
  /** What stands before `<<` in its command. */
  readonly command: string
}

const PLAIN_WORD = /[^\s;&|()<>'"`$\\]+/y
/** Words after which another command begins. */
const PREFIX_WORDS = new Set(['do', 'then', 'else', 'elif', 'if', 'while', 'until', '!', '{', 'time'])
/** Expansions whose word takes single quotes literally inside double quotes (POSIX; bash pairs them); patterns do not. */
const DEFAULT_EXPANSION = /\$\{[!#]?[A-Za-z0-9_@*?]+(?:\[[^\]]*\])?:?[-=?+]/y

/**
 * `${{ e }}` becomes `"${SPANWRIGHT_X1}"` outside quotes and `${SPANWRIGHT_X1}` inside double quotes and unquoted
 * here-documents, so that the value is data whatever it contains. Where no reference can work (single quotes, quoted
 * here-documents, arithmetic) there is an error in `problems`. Comments stay as they are.
 */
export function compileShell(source: string, shell: 'sh' | 'bash'): ShellScript {
  if (!source.includes('${{')) return { script: source, bindings: [], problems: [] }
  return new ShellScanner(source, shell).scan()
}

class ShellScanner {
  readonly #shell: 'sh' | 'bash'
  readonly #cursor: ShellCursor
  #backticks = 0

  constructor(source: string, shell: 'sh' | 'bash') {
    this.#shell = shell
    this.#cursor = new ShellCursor(source)
  }

  scan(): ShellScript {
    while (this.#cursor.at < this.#cursor.source.length) this.#code('end', this.#cursor.source.length)
    const { out: script, bindings, problems } = this.#cursor
    return { script, bindings, problems }
  }

  /** Unquoted text up to `close`, which is consumed. */
  #code(close: ')' | '`' | 'end', limit: number): void {
    const code = { close, limit, parens: 0, cases: 0, wordStart: true, commandStart: true, heredocs: [] as Heredoc[] }
    this.#cursor.commandStarts.push(this.#cursor.at)
    while (this.#cursor.at < limit) if (this.#codeStep(code)) break
    this.#cursor.commandStarts.pop()
  }

  /** One token of unquoted text; true when it was the closing one. */
  #codeStep(code: Code): boolean {
    const char = this.#cursor.source[this.#cursor.at]!
    if (this.#cursor.expression('"', '"') || this.#quoted(char) || this.#substitution(char, false, code.limit))
      return endWord(code)
    switch (char) {
      case '\\':
        this.#escape()
        return endWord(code)
      case '`':
        this.#cursor.copy(1)
        if (code.close === '`') return true
        this.#cursor.nested(() => this.#backtick(code.limit))
        return endWord(code)
      case '#':
        if (code.wordStart) this.#comment(code.limit)
        else this.#cursor.copy(1)
        return false
      case '<':
        if (this.#cursor.startsWith('<<<')) this.#cursor.copy(3)
        else if (this.#cursor.startsWith('<<')) this.#heredocStart(code)
        else this.#cursor.copy(1)
        code.wordStart = true
        return false
      case '(':
        return this.#openParen(code)
      case ')':
        return this.#closeParen(code)
      case '\n':
        this.#cursor.copy(1)
        for (const heredoc of code.heredocs.splice(0)) this.#heredocBody(heredoc, code.limit)
        return this.#nextCommand(code)
      case ';':
      case '&':
      case '|':
        this.#cursor.copy(1)
        return this.#nextCommand(code)
      default:
        return this.#word(code)
    }
  }

  #nextCommand(code: Code): false {
    code.wordStart = code.commandStart = true
    this.#cursor.commandStarts[this.#cursor.commandStarts.length - 1] = this.#cursor.at
    return false
  }

  #openParen(code: Code): false {
    if (this.#shell === 'bash' && code.commandStart && this.#cursor.startsWith('((')) {
      this.#cursor.copy(2)
      this.#cursor.nested(() => this.#arithmetic(code.limit))
    } else {
      code.parens++
      this.#cursor.copy(1)
    }
    return this.#nextCommand(code)
  }

  /** A `)` closes a subshell, ends a pattern of `case`, or closes this substitution. */
  #closeParen(code: Code): boolean {
    this.#cursor.copy(1)
    if (code.parens > 0) code.parens--
    else if (code.cases === 0 && code.close === ')') return true
    return this.#nextCommand(code)
  }

  #word(code: Code): false {
    PLAIN_WORD.lastIndex = this.#cursor.at
    const word = PLAIN_WORD.exec(this.#cursor.source)?.[0].slice(0, code.limit - this.#cursor.at)
    if (!word) {
      this.#cursor.copy(1)
      code.wordStart = true
      return false
    }
    if (code.commandStart && word === 'case') code.cases++
    if (code.commandStart && word === 'esac') code.cases = Math.max(0, code.cases - 1)
    if (!(code.commandStart && PREFIX_WORDS.has(word))) code.commandStart = false
    this.#cursor.copy(word.length)
    code.wordStart = false
    return false
  }

  #escape(): void {
    this.#cursor.copy(1)
    const fix = 'remove the backslash; to write a literal ${{, pass it as a param'
    if (!this.#cursor.refuse('a backslash stands before an expression', fix)) this.#cursor.copy(1)
  }

  /** Single quotes, `$'…'` of bash, double quotes. */
  #quoted(char: string): boolean {
    if (char === '"') this.#cursor.nested(() => this.#double())
    else if (char === "'") this.#single(1, false)
    else if (this.#shell === 'bash' && this.#cursor.startsWith("$'")) this.#single(2, true)
    else return false
    return true
  }

  #single(opening: number, escapes: boolean): void {
    this.#cursor.copy(opening)
    while (this.#cursor.at < this.#cursor.source.length) {
      const fix = 'use double quotes around it, or end the single quotes before it'
      if (this.#cursor.refuse('an expression inside single quotes would stay literal text', fix)) continue
      const char = this.#cursor.source[this.#cursor.at]
      this.#cursor.copy(char === '\\' && escapes ? 2 : 1)
      if (char === "'") return
    }
  }

  #double(): void {
    this.#cursor.copy(1)
    while (this.#cursor.at < this.#cursor.source.length) {
      const char = this.#cursor.source[this.#cursor.at]!
      if (char === '"') return this.#cursor.copy(1)
      this.#textStep(char, this.#cursor.source.length)
    }
  }

  /** One token of text in which only `\`, `$` and backticks mean something (double quotes, here-documents). */
  #textStep(char: string, limit: number): void {
    if (this.#cursor.expression('', '') || this.#substitution(char, true, limit)) return
    if (char === '\\') return this.#escape()
    this.#cursor.copy(1)
    if (char === '`') this.#cursor.nested(() => this.#backtick(limit))
  }

  /** `$((…))`, `$(…)`, `${…}`. */
  #substitution(char: string, quoted: boolean, limit: number): boolean {
    if (char !== '$') return false
    if (this.#cursor.startsWith('$((')) {
      this.#cursor.copy(3)
      this.#cursor.nested(() => this.#arithmetic(limit))
    } else if (this.#cursor.startsWith('$(')) {
      this.#cursor.copy(2)
      this.#cursor.nested(() => this.#code(')', limit))
    } else if (this.#cursor.startsWith('${')) {
      this.#cursor.nested(() => this.#parameter(quoted, limit))
    } else {
      this.#cursor.copy(1)
    }
    return true
  }

  #backtick(limit: number): void {
    this.#backticks++
    this.#code('`', limit)
    this.#backticks--
  }

  #parameter(quoted: boolean, limit: number): void {
    DEFAULT_EXPANSION.lastIndex = this.#cursor.at
    const literalQuotes = quoted && this.#shell === 'sh' && DEFAULT_EXPANSION.test(this.#cursor.source)
    this.#cursor.copy(2)
    while (this.#cursor.at < limit) {
      const char = this.#cursor.source[this.#cursor.at]!
      if (char === '}') return this.#cursor.copy(1)
      if (this.#cursor.expression(quoted ? '' : '"', quoted ? '' : '"')) continue
      if (char === '"' || (char === "'" && !literalQuotes)) this.#quoted(char)
      else this.#textStep(char, limit)
    }
  }

  /** The shell evaluates variables in arithmetic as code (`a[$(…)]`), so no value may get there. */
  #arithmetic(limit: number): void {
    let open = 2
    while (this.#cursor.at < limit && open > 0) {
      const fix = 'calculate inside the expression: ${{ params.n + 1 }}'
      if (this.#cursor.refuse('an expression inside $(( )) would be evaluated as code by the shell', fix)) continue
      const char = this.#cursor.source[this.#cursor.at]!
      if (this.#substitution(char, true, limit)) continue
      if (char === '(') open++
      if (char === ')') open--
      this.#cursor.copy(char === '\\' ? 2 : 1)
    }
  }

  #comment(limit: number): void {
    while (this.#cursor.at < limit) {
      const char = this.#cursor.source[this.#cursor.at]
      if (this.#cursor.copyExpression()) continue
      if (char === '\n' || (char === '`' && this.#backticks > 0)) return
      else this.#cursor.copy(1)
    }
  }

  #heredocStart(code: Code): void {
    const command = this.#cursor.source.slice(this.#cursor.commandStarts.at(-1) ?? 0, this.#cursor.at)
    this.#cursor.copy(2)
    const stripTabs = this.#cursor.source[this.#cursor.at] === '-'
    if (stripTabs) this.#cursor.copy(1)
    while (/[ \t]/.test(this.#cursor.source[this.#cursor.at] ?? '')) this.#cursor.copy(1)
    let delimiter = ''
    let quoted = false
    let quote = ''
    while (this.#cursor.at < code.limit) {
      if (this.#cursor.refuse('an expression cannot be the delimiter of a here-document', 'use a fixed word')) continue
      const char = this.#cursor.source[this.#cursor.at]!
      if (quote === '' && /[\s;&|()<>]/.test(char)) break
      this.#cursor.copy(1)
      if (quote === '' && (char === "'" || char === '"')) quote = char
      else if (char === quote) quote = ''
      else if (char === '\\' && quote !== "'") {
        delimiter += this.#cursor.source[this.#cursor.at] ?? ''
        this.#cursor.copy(1)
      } else {
        delimiter += char
        continue
      }
      quoted = true
    }
    if (delimiter !== '' || quoted) code.heredocs.push({ delimiter, quoted, stripTabs, command })
  }

  #heredocBody(heredoc: Heredoc, limit: number): void {
    const end = this.#heredocEnd(heredoc, limit)
    const outer = this.#cursor.heredocCommand
    this.#cursor.heredocCommand = heredoc.command
    const fix = `write <<${heredoc.delimiter} without quotes (and \\$ for a literal dollar)`
    while (this.#cursor.at < end) {
      if (!heredoc.quoted) this.#textStep(this.#cursor.source[this.#cursor.at]!, end)
      else if (
        !this.#cursor.refuse('an expression in a here-document with a quoted delimiter would stay literal text', fix)
      )
        this.#cursor.copy(1)
    }
    this.#cursor.heredocCommand = outer
    const newline = this.#cursor.source.indexOf('\n', this.#cursor.at)
    const lineEnd = newline < 0 || newline >= limit ? limit : newline
    this.#cursor.copy(Math.max(0, Math.min(lineEnd + 1, limit) - this.#cursor.at))
  }

  /** Offset of the line that ends the document, or of the end of the text. */
  #heredocEnd(heredoc: Heredoc, limit: number): number {
    let start = this.#cursor.at
    while (start < limit) {
      const newline = this.#cursor.source.indexOf('\n', start)
      const end = newline < 0 || newline > limit ? limit : newline
      const line = this.#cursor.source.slice(start, end)
      if ((heredoc.stripTabs ? line.replace(/^\t+/, '') : line) === heredoc.delimiter) return start
      start = end + 1
    }
    return limit
  }
}

interface Code {
  readonly close: ')' | '`' | 'end'
  readonly limit: number
  parens: number
  cases: number
  wordStart: boolean
  commandStart: boolean
  readonly heredocs: Heredoc[]
}

function endWord(code: Code): false {
  code.wordStart = code.commandStart = false
  return false
}
