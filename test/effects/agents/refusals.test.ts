// The one rule about tools that were refused: what makes an answer worthless, and what does not.
import { expect, test } from 'vitest'
import type { Verdict } from '../../../src/effects/agents/adapter.ts'
import { Refusals } from '../../../src/effects/agents/refusals.ts'

const OK: Verdict = { status: 'ok', usageComplete: true }

test('refused and nothing done: denied, with the tools once each', () => {
  const refusals = new Refusals()
  for (const tool of ['Bash', 'Write', 'Bash']) refusals.refused(tool)
  refusals.ended({ ok: false })
  expect(refusals.over(OK)).toMatchObject({
    status: 'denied',
    errorClass: 'denied',
    usageComplete: true,
    message: expect.stringMatching(/to use Bash, Write and did nothing: .*agent\.permission/) as string,
  })
})

test.each([{ ok: true }, { ok: false, exitCode: 2 }])('another tool that ran is work: %o', (call) => {
  const refusals = new Refusals()
  refusals.refused('Bash')
  refusals.ended(call)
  expect(refusals.over(OK)).toBe(OK)
})

test('nothing refused, nothing done: an answer; what failed already keeps its reason', () => {
  expect(new Refusals().over(OK)).toBe(OK)
  const refusals = new Refusals()
  refusals.refused('Bash')
  const failed: Verdict = { status: 'error', errorClass: 'server', usageComplete: false }
  expect(refusals.over(failed)).toBe(failed)
})
