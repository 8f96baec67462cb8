// Owns: how a problem in a pipeline is said: place, rule, message, fix. Must not: know any rule.

export interface Diagnostic {
  readonly file: string
  /** From 1; 1:1 where no place is known (TypeScript pipelines). */
  readonly line: number
  readonly column: number
  /** Stable id of the rule, e.g. `unknown-key`. */
  readonly rule: string
  readonly severity: 'error' | 'warning'
  readonly message: string
  readonly fix?: string | undefined
}

/** `file:line:column rule message; fix`. */
export function renderDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, rule, message, fix } = diagnostic
  return `${file}:${line}:${column} ${rule} ${message}${fix ? `; ${fix}` : ''}`.replaceAll(/\s*\n\s*/g, ' ')
}

/** In the order of the file; each problem once. */
export function inOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const seen = new Set<string>()
  return diagnostics
    .filter((item) => {
      const key = JSON.stringify(item)
      return !seen.has(key) && seen.add(key)
    })
    .map((item, index) => ({ item, index }))
    .toSorted(
      (a, b) =>
        byFile(a.item, b.item) || a.item.line - b.item.line || a.item.column - b.item.column || a.index - b.index,
    )
    .map(({ item }) => item)
}

const byFile = (a: Diagnostic, b: Diagnostic): number => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0)

/** Thousands of problems among thousands of names must not take minutes. */
const MAX_CANDIDATES = 500

/** The candidate most like `word` (Levenshtein, fewer than half of its letters wrong), for "did you mean". */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(word.length * 0.45)) + 1
  let examined = 0
  for (const candidate of candidates) {
    if (++examined > MAX_CANDIDATES) break
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue
    const distance = distanceOf(word.toLowerCase(), candidate.toLowerCase(), bestDistance)
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
    if (bestDistance <= 1) break
  }
  return best
}

/** `, did you mean \`x\`?`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const found = nearest(word, candidates)
  return found === undefined ? '' : `, did you mean \`${found}\`?`
}

/** Restricted Damerau-Levenshtein: neighbours swapped count once. Gives up at `limit`. */
function distanceOf(a: string, b: string, limit: number): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let value = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        value = Math.min(value, beforeLast[j - 2]! + 1)
      row.push(value)
    }
    if (Math.min(...row) >= limit) return limit
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
