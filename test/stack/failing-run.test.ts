// Owns: proof that docs/failing-run.md shows what happens: the nightly release is run against a real stack, and every block
// of the page is compared with what the terminal, Jaeger, Prometheus and its alerts say. `CAPTURE=write` writes the blocks.
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startStack, type Stack } from '../../scripts/native-stack/stack.ts'
import { PROJECT_ROOT } from '../support/cli.ts'
import { blocksOf, stableLines, writeBlocks, type Captures } from './support/captures.ts'
import {
  runNightly,
  seenAfterRepair,
  seenAsAlert,
  seenInJaeger,
  seenInTerminal,
  seenOnDashboards,
  type Nightly,
} from './support/failing-run.ts'

const PAGE = path.join(PROJECT_ROOT, 'docs/failing-run.md')

let stack: Stack
let nightly: Nightly
beforeAll(async () => {
  stack = await startStack({ evaluationInterval: '1s' })
  nightly = await runNightly(stack.urls)
})
afterAll(() => stack?.stop())

const compared = new Set<string>()
function expectOnPage(captures: Captures): void {
  if (process.env['CAPTURE'] === 'write') writeBlocks(PAGE, captures)
  const page = blocksOf(PAGE)
  for (const name of Object.keys(captures)) compared.add(name)
  for (const [name, text] of Object.entries(captures)) {
    expect({ name, lines: stableLines(page[name] ?? 'not on the page') }).toEqual({ name, lines: stableLines(text) })
  }
}

test('what the terminal prints', async () => {
  expectOnPage(await seenInTerminal(nightly))
})

test('what Jaeger finds and shows', async () => {
  expectOnPage(await seenInJaeger(stack.urls, nightly))
})

test('every reference of a span leads to a span of the same trace', () => {
  const { spans } = nightly.trace
  const ids = new Set(spans.map(({ spanId }) => spanId))
  const links = spans.flatMap((span) => span.links.map((link) => ({ from: span, ...link })))
  const lost = links.filter(({ from, traceId, spanId }) => traceId !== from.traceId || !ids.has(spanId))
  expect(lost).toEqual([])
  // Six attempts to the ones before them, the summary to four branches.
  expect(links.filter(({ from }) => from.name.endsWith(' attempt'))).toHaveLength(6)
  expect(links.filter(({ from }) => from.name === 'summary')).toHaveLength(4)
})

test('what the dashboards ask, are answered and link to', async () => {
  expectOnPage(await seenOnDashboards(stack.urls, nightly))
})

test('the alert after the second night, and its page', async () => {
  expectOnPage(await seenAsAlert(stack.urls, nightly))
})

test('the run after the repair', async () => {
  expectOnPage(await seenAfterRepair(stack.urls, nightly))
})

test('the page has no block that nothing was compared with', () => {
  expect(Object.keys(blocksOf(PAGE)).toSorted()).toEqual([...compared].toSorted())
})
