// The whole text that an agent is given.
import { expect, test } from 'vitest'
import { composePrompt, type PromptParts } from '../../../src/effects/agents/prompt.ts'
import { LIMITS } from '../../../src/core/limits.ts'

const text = (parts: Partial<PromptParts>): string => {
  const composed = composePrompt({ prompt: 'Do it.', ...parts })
  if ('failure' in composed) throw new Error(composed.failure.message)
  return composed.text
}

test('alone it is what the pipeline asks', () => {
  expect(text({ prompt: '  Do it.\n' })).toBe('Do it.\n')
})

test('what happened, was answered and went wrong stands between the task and how to end', () => {
  const whole = text({
    history: [
      { node: 'plan', visit: 1, result: 'success', label: 'continue', notes: 'three\nsteps' },
      { node: 'build', visit: 2, result: 'failure', failure: 'tests failed', notes: 'x'.repeat(1_000) },
    ],
    answers: { question: 'Which one?', choice: 'b', comment: 'the second one' },
    retryContext: 'Retry attempt 2/3\n',
    decision: { labels: ['approve', 'route'], targets: ['fix'] },
  })
  expect(whole).toMatchInlineSnapshot(`
    "Do it.

    ## What happened before

    - plan: success, \`continue\`: three steps
    - build (visit 2): failure: tests failed; ${'x'.repeat(285)}…

    ## Answers to your questions

    You asked:
    Which one?

    A person answered: b

    the second one

    Retry attempt 2/3

    ## How to end

    End your answer with one fenced JSON block that holds your decision. Without it your work counts as failed.

    \`\`\`json
    {"disposition": "approve", "reason": "one sentence"}
    \`\`\`

    \`disposition\` is one of \`approve\`, \`route\`.
    - \`route\`: also "workflow": one of \`fix\`
    "
  `)
})

test('only the last steps are told', () => {
  const history = Array.from({ length: 25 }, (_, i) => ({ node: `n${i}`, visit: 1, result: 'success' as const }))
  const whole = text({ history })
  expect(whole).toContain('(5 earlier steps are not shown.)')
  expect(whole).not.toContain('n4:')
  expect(whole).toContain('n5:')
})

test('what was learnt is cut before the task is', () => {
  const prompt = 'p'.repeat(LIMITS.promptBytes - 1_000)
  const whole = text({ prompt, retryContext: `begin${'r'.repeat(5_000)}end`, decision: { labels: ['a'], targets: [] } })
  expect(Buffer.byteLength(whole)).toBeLessThanOrEqual(LIMITS.promptBytes)
  expect(whole.startsWith(prompt)).toBe(true)
  expect(whole).toContain('end\n\n## How to end')
  expect(whole).not.toContain('begin')
})

test('none, or a task that is too large, is told before anything starts', () => {
  expect(composePrompt({ prompt: ' \n' })).toMatchObject({ failure: { code: 'config_invalid' } })
  expect(composePrompt({ prompt: 'x'.repeat(LIMITS.promptBytes + 1) })).toMatchObject({
    failure: { code: 'config_invalid', details: { bytes: LIMITS.promptBytes + 1 } },
  })
})
