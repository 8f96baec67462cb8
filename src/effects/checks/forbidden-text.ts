// Owns: looking for forbidden text in the lines an attempt added, while they pass by. What is kept says where and by which
// rule, never the text.
import type { Check } from '../../core/pipeline.ts'
import { secretIn } from './secret-formats.ts'

export interface Finding {
  /** Position of the check in the node's list. */
  readonly check: number
  readonly path: string
  readonly line: number
  /** Name of a secret's format, or the pattern. */
  readonly what: string
}

/** Findings of one check that are kept. */
const MAX_FINDINGS = 100
/** More of a line is not looked at: a pattern with much backtracking must not take for ever. */
const LINE_CHARS = 16 * 1024

interface Asked {
  readonly check: number
  readonly secrets: boolean
  readonly patterns: readonly RegExp[]
  found: number
}

export class ForbiddenText {
  readonly findings: Finding[] = []
  readonly #asked: readonly Asked[]

  constructor(checks: readonly Check[]) {
    this.#asked = checks.flatMap(({ rule }, check) => {
      if (!rule || !('forbidden' in rule)) return []
      const { secrets, patterns } = rule.forbidden
      if (!secrets && patterns.length === 0) return []
      return [{ check, secrets, patterns: patterns.map((pattern) => new RegExp(pattern)), found: 0 }]
    })
  }

  get isAsked(): boolean {
    return this.#asked.length > 0
  }

  readonly look = (path: string, line: number, text: string): void => {
    const shown = text.slice(0, LINE_CHARS)
    for (const asked of this.#asked) {
      if (asked.found >= MAX_FINDINGS) continue
      const what =
        (asked.secrets ? secretIn(shown) : undefined) ?? asked.patterns.find((pattern) => pattern.test(shown))?.source
      if (what === undefined) continue
      asked.found++
      this.findings.push({ check: asked.check, path, line, what })
    }
  }
}
