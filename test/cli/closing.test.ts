// The closing summary, the cause chain, GitHub's annotations: told from a hand-written final.json.
import { expect, test } from 'vitest'
import { causeChain, failedSentence, type FinalNode } from '../../src/cli/cause.ts'
import { renderClosing, type Closing } from '../../src/cli/closing.ts'
import { annotations, summaryMarkdown } from '../../src/cli/github.ts'
import { columnsOf } from '../../src/cli/terminal/text.ts'
import type { Failure } from '../../src/core/failure.ts'
import { failureOf, pipelineOf, RUN_ID, TRACE_ID } from './view-entries.ts'

const cause = failureOf('turn_limit', 'Turn limit reached (max_turns=25)', {
  attempt_id: 'implement:monsters/impl@3.2',
  details: {
    stderr_tail: 'apply_patch: unexpected line: "--- src/monsters.rs"\n\u001b[31merror\u001b[0m: turn limit reached\n',
  },
})
const breaker = failureOf('breaker_open', '3 equal failures, signature 7c1e90ab', { causes: [cause] })
const branch = failureOf('branch_failed', '1 of 4 branches failed: monsters', { causes: [breaker] })
const node = (path: string, more: Partial<FinalNode> = {}): FinalNode => ({
  path,
  kind: 'run',
  result: 'success',
  visits: 1,
  attempts: 1,
  ...more,
})
const nodes = [
  node('plan'),
  node('implement', {
    kind: 'fanout',
    result: 'failure',
    failure: branch,
    children: { total: 4, failed: 1, skipped: 0 },
  }),
  node('implement:monsters/impl', { result: 'failure', attempts: 6, visits: 3, failure: breaker }),
  node('review', { result: 'skip', attempts: 0 }),
]
const rogue: Closing = {
  runId: RUN_ID,
  shortId: '01KH3DN4ST',
  pipeline: 'rogue',
  result: 'failure',
  failure: branch,
  hookFailures: [],
  durationMs: 7_152_000,
  totals: {
    attempts: 23,
    retries: 5,
    branches: 4,
    nodes: 9,
    tokens: { input: 9_000_000, cache_read: 910_000, cache_write: 0, output: 217_000, reasoning: 0 },
    cost_usd: 21.66,
    cost_unpriced: 6,
  },
  nodes,
  traceId: TRACE_ID,
  resumable: false,
  budget: { usd: 25, mode: 'enforce' },
}
const look = { columns: 100, color: false, ascii: false }

test('a failure at 100 columns: result, sentence, chain from the original cause, sums, three commands, trace', () => {
  expect(renderClosing(rogue, look)).toEqual([
    ' ✕ rogue failed after 1h 59m 12s                                          01KH3DN4STSZ3MVKB58YY6RE57',
    '',
    '   Branch monsters failed: impl failed: Turn limit reached (max_turns=25), in all 6 attempts',
    '',
    '   turn_limit         implement:monsters/impl@3.2  Turn limit reached (max_turns=…   original cause',
    '   └ breaker_open     implement:monsters/impl      3 equal failures, signature 7c1e90ab',
    '     └ branch_failed  implement                    1 of 4 branches failed: monsters',
    '',
    '   last lines      apply_patch: unexpected line: "--- src/monsters.rs"',
    '                   error: turn limit reached',
    '',
    '   nodes           1 ok, 1 failed, 1 skipped (review)      branches   3 ok, 1 failed',
    '   attempts        23, of them 5 retries',
    '   spend           $21.66 + 6 attempts unpriced, 87 % of $25.00      9.91M in, 217k out',
    '',
    '   what happened   spanwright show 01KH3DN4ST',
    '   the attempt     spanwright attempt show 01KH3DN4ST implement:monsters/impl@3.2',
    '   try again       spanwright retry 01KH3DN4ST implement:monsters/impl',
    '',
    `   trace ${TRACE_ID}`,
    '',
  ])
})

test('at 60 columns it fits, and commands can still be copied', () => {
  const lines = renderClosing(rogue, { ...look, columns: 60 })
  for (const text of lines) expect({ text, fits: columnsOf(text) <= 60 }).toMatchObject({ fits: true })
  expect(lines).toContain('   turn_limit  impl@3.2  original cause')
  const shell = lines.join('\n').replaceAll(' \\\n    ', '')
  expect(shell).toContain('spanwright attempt show 01KH3DN4ST implement:monsters/impl@3.2')
})

test('a success is one line; retries and money are in it', () => {
  const ended: Closing = { ...rogue, result: 'success', failure: undefined, durationMs: 1_908_000 }
  expect(renderClosing(ended, look)).toEqual([
    ' ✓ rogue succeeded in 31m 48s   9 nodes, 23 attempts, 5 retries   $21.66 + 6 unpriced   01KH3DN4ST',
  ])
})

test('a resumable end offers resume, and the store is named where it is needed', () => {
  const ended: Closing = { ...rogue, result: 'cancellation', resumable: true, storeOption: ' --store runs' }
  const text = renderClosing(ended, look).join('\n')
  expect(text).toContain(' ⊘ rogue canceled after')
  expect(text).toContain('   go on           spanwright resume 01KH3DN4ST --store runs')
  expect(text).not.toContain('spanwright retry')
})

test('what a person rejected is tried again, not a tolerated failure beside it', () => {
  const failed = failureOf('gate_rejected', 'ship was answered `reject`')
  const tolerated = { ...node('flaky'), result: 'timeout' as const, failure: { ...cause, attempt_id: 'flaky@1.1' } }
  const ended: Closing = { ...rogue, failure: failed, nodes: [{ ...node('ship'), failure: failed }, tolerated] }
  const text = renderClosing(ended, look).join('\n')
  expect(text).toContain('   try again       spanwright retry 01KH3DN4ST ship')
  expect(text).not.toContain('flaky@1.1')
})

test('a failed hook is said as hook failure, not as failure of its node', () => {
  const failed = failureOf('hook_failed', 'Hook announce failed', {
    causes: [failureOf('exit_nonzero', '`npm run announce` exited with code 1')],
  })
  const hookFailures = [{ hook: 'on_success', name: 'announce', failure: failed }]
  const ended: Closing = { ...rogue, result: 'failure', failure: failed, hookFailures, nodes: [node('plan')] }
  const text = renderClosing(ended, look).join('\n')
  expect(text).toContain('   hook failed     run: hook on_success announce  exit_nonzero:')
  expect(text).toContain('   nodes           1 ok')
})

test('the chain names a place for each link; the sentence is the original cause', () => {
  expect(causeChain(branch, nodes).map(({ where }) => where)).toEqual([
    'implement:monsters/impl@3.2',
    'implement:monsters/impl',
    'implement',
  ])
  const command = failureOf('exit_nonzero', '`make api` exited with code 2: no rule', { attempt_id: 'build@1.1' })
  expect(failedSentence(command, [])).toBe('build exited with code 2: no rule')
  const ended: Failure = { ...command, source: 'check', message: '`grep` exited with code 1' }
  const message = 'Check tidy failed: `grep` exited with code 1'
  const check: Failure = { ...command, code: 'check_failed', message, causes: [ended] }
  expect(failedSentence(check, [])).toBe('build failed: Check tidy failed: `grep` exited with code 1')
})

test('GitHub annotations are escaped: what a step said is no workflow command', () => {
  const evil = failureOf('exit_nonzero', 'bad\n::set-output name=x::y 100%\u001b[0m', { attempt_id: 'a@1.1' })
  const lines = annotations({ ...rogue, pipeline: 'x,y:z', failure: evil, nodes: [] })
  expect(lines).toEqual(['::error title=x%2Cy%3Az failure::a failed: bad ::set-output name=x::y 100%25'])
})

test('the job summary is Markdown in which nothing a step said is markup', () => {
  const evil = failureOf('exit_nonzero', 'a | b <script> `x`', {
    attempt_id: 'a@1.1',
    details: { stderr_tail: '```\n# title\n' },
  })
  const text = summaryMarkdown({ ...rogue, failure: evil }, pipelineOf('rogue', []))
  expect(text).toContain('### ❌ rogue: failure in 1h 59m 12s')
  expect(text).toContain('a \\| b \\<script\\> \\`x\\`')
  expect(text).toContain('````text\n```\n# title\n````')
})

test.each([
  [21.66, 6, 217_000, '$21.66, 9.91M tokens in, 217k out; not counted: 6 attempts without a known price'],
  [0, 1, 217_000, '9.91M tokens in, 217k out; cost unknown: 1 attempt without a known price'],
  [21.66, 0, 217_000, '$21.66, 9.91M tokens in, 217k out. Run'],
])('the job summary: unpriced is not free (%d, %d)', (cost_usd, cost_unpriced, output, said) => {
  const totals = { ...rogue.totals, cost_usd, cost_unpriced, tokens: { ...rogue.totals.tokens, output } }
  expect(summaryMarkdown({ ...rogue, totals }, pipelineOf('rogue', []))).toContain(said)
})

test('what a model wrote of the failures stands below the facts, marked', () => {
  const cause = failureOf('exit_nonzero', 'no rule', { attempt_id: 'build@1.3' })
  const summary = `Three times the same missing rule: ${'long '.repeat(30)}`
  const told = {
    path: 'build',
    kind: 'run',
    result: 'failure' as const,
    visits: 1,
    attempts: 3,
    failure: cause,
    summary,
  }
  const run = { ...rogue, failure: cause, nodes: [told] }
  const lines = renderClosing(run, look)
  const at = lines.findIndex((line) => line.includes('(generated) Three times the same missing rule'))
  expect(at).toBeGreaterThan(lines.findIndex((line) => line.includes('original cause')))
  expect(lines.every((line) => line.length <= 100)).toBe(true)
  expect(summaryMarkdown(run, pipelineOf('rogue', []))).toContain('Summary (generated by a model): Three times')
})
