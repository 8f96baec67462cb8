// Owns: the last line of every test run, `N passed, N failed`, and the rule that a run in which tests were skipped or
// none ran is not a pass. With TEST_COUNTS_DIR set it also leaves the two numbers there, one file per run, for .ci/run.
import { randomUUID } from 'node:crypto'
import { appendFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Reporter, SerializedError, TestModule, Vitest } from 'vitest/node'

export interface Counts {
  passed: number
  failed: number
  skipped: number
}

/** Why a run with these counts is not a pass; nothing when it is one. Skips are allowed where a name pattern asked for them. */
export function refusal(counts: Counts, selectedByName: boolean): string | undefined {
  if (counts.passed + counts.failed === 0) return 'no test ran, so this is not a pass'
  if (counts.skipped > 0 && !selectedByName) return `${counts.skipped} skipped, so this is not a pass`
  return undefined
}

export default class SummaryReporter implements Reporter {
  private vitest: Vitest | undefined

  onInit(vitest: Vitest): void {
    this.vitest = vitest
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const counts = count(modules)
    counts.failed += errors.length
    const refused = refusal(counts, this.vitest?.config.testNamePattern !== undefined)
    if (refused !== undefined && counts.failed === 0) counts.failed = 1
    if (refused !== undefined || counts.failed > 0) process.exitCode = 1
    leaveCounts(counts)
    if (refused !== undefined) console.log(refused)
    console.log(`${counts.passed} passed, ${counts.failed} failed`)
  }
}

function count(modules: readonly TestModule[]): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      counts[state === 'passed' || state === 'failed' ? state : 'skipped'] += 1
    }
    // A file that cannot be loaded has no tests to fail: it counts as one.
    counts.failed += module.errors().length
  }
  return counts
}

function leaveCounts({ passed, failed }: Counts): void {
  const directory = process.env['TEST_COUNTS_DIR']
  if (directory !== undefined) writeFileSync(path.join(directory, `${randomUUID()}.txt`), `${passed} ${failed}\n`)
  // Inside a pipeline the numbers become the step's outputs.
  const outputs = process.env['SPANWRIGHT_OUTPUTS']
  if (outputs !== undefined) appendFileSync(outputs, `passed=${passed}\nfailed=${failed}\n`)
}
