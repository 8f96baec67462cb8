// Which values of the environment a run masks because of what its pipeline says.
import { expect, test } from 'vitest'
import { parsed } from '../pipeline/files.ts'
import { secretsOf } from '../../src/runner/run-secrets.ts'

const PIPELINE = `
name: p
summaries: { agent: { use: api, model: m, provider: openai, api_key_env: FOR_SUMMARIES } }
nodes:
  - id: a
    agent:
      use: api
      model: m
      provider: openai
      api_key_env: KIMI
      prompt: p
      fallback: [{ use: api, model: n, provider: openai, api_key_env: SECOND }]
      escalate: { after: 2, use: api, model: o, provider: openai, api_key_env: GIVEN }
  - id: f
    fanout:
      branches:
        x: [{ id: b, agent: { use: api, model: m, provider: openai, api_key_env: INSIDE, prompt: p } }]
  - id: c
    agent: { use: api, model: m, provider: openai, api_key_env: DUMMY, prompt: p }
`

test('keys that agents take from a variable of any name are masked; a word in place of a key is not', async () => {
  const { pipeline } = await parsed(PIPELINE)
  const env = Object.fromEntries(
    ['FOR_SUMMARIES', 'KIMI', 'SECOND', 'GIVEN', 'INSIDE', 'NOT_ASKED'].map((name) => [name, `value-of-${name}`]),
  )
  const { mask } = secretsOf(pipeline, {}, { ...env, DUMMY: 'none' })
  expect(mask.text(`${Object.values(env).join(' ')} none`)).toBe('*** *** *** *** *** value-of-NOT_ASKED none')
})
