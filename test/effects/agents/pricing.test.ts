// What a request costs: the user's prices, then the bundled table; never a guess, never an exception.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Tokens } from '../../../src/core/outcome.ts'
import { priceOf } from '../../../src/effects/agents/pricing.ts'

const tokens = (counts: Partial<Tokens> = {}): Tokens => ({
  input: 0,
  cache_read: 0,
  cache_write: 0,
  output: 0,
  ...counts,
})
const MILLION = tokens({ input: 1e6 })

describe('the table', () => {
  test('a request is priced with its cached input at the price of the cache', () => {
    const usd = priceOf(
      'claude-sonnet-4-5',
      tokens({ input: 1000, cache_read: 10_000, cache_write: 100, output: 50 }),
      {},
    )
    expect(usd).toBeCloseTo((1000 * 3 + 10_000 * 0.3 + 100 * 3.75 + 50 * 15) / 1e6, 9)
  })

  test('the size of one request decides its tier', () => {
    const small = priceOf('claude-sonnet-4-5', tokens({ input: 100_000 }), {})!
    const large = priceOf('claude-sonnet-4-5', MILLION, {})!
    expect(large).toBeGreaterThan(small * 10 * 1.2)
  })

  test('a dated name is the same model', () => {
    expect(priceOf('claude-sonnet-4-5-20250929', tokens({ output: 10 }), {})).toBe(
      priceOf('claude-sonnet-4-5', tokens({ output: 10 }), {}),
    )
  })

  test('the address names the provider', () => {
    const kimi = 'kimi-k2-0905-preview'
    expect(
      priceOf(kimi, MILLION, {}, { provider: 'openai-compatible', baseUrl: 'https://api.moonshot.ai/v1' }),
    ).toBeGreaterThan(0)
    expect(
      priceOf(kimi, MILLION, {}, { provider: 'anthropic', baseUrl: 'https://api.moonshot.ai/anthropic' }),
    ).toBeGreaterThan(0)
    // Moonshot sells no Claude, whatever the name says.
    expect(priceOf('claude-sonnet-4-5', MILLION, {}, { baseUrl: 'https://api.moonshot.ai/anthropic' })).toBeUndefined()
  })

  test('at an unknown address closed models have their list price, models that anyone may host have none', () => {
    const gateway = { provider: 'openai-compatible', baseUrl: 'http://gateway.internal:4000/v1' }
    expect(priceOf('gpt-5', MILLION, {}, gateway)).toBe(priceOf('gpt-5', MILLION, {}))
    expect(priceOf('claude-sonnet-4-5', MILLION, {}, gateway)).toBe(priceOf('claude-sonnet-4-5', MILLION, {}))
    expect(priceOf('kimi-k2', MILLION, {}, gateway)).toBeUndefined()
    expect(priceOf('gpt-oss-120b', MILLION, {}, gateway)).toBeUndefined()
  })

  test('a provider before the name of the model is understood', () => {
    expect(priceOf('anthropic/claude-sonnet-4-5', MILLION, {})).toBe(priceOf('claude-sonnet-4-5', MILLION, {}))
    expect(priceOf('moonshotai/kimi-k2', MILLION, {})).toBe(priceOf('kimi-k2', MILLION, {}))
  })

  test.each(['stub-model', 'glm-4.6-nobody', '', '__proto__', 'constructor', '/', 'a/b/c'])(
    'an unknown model (%j) has no price',
    (model) => {
      expect(priceOf(model, MILLION, {})).toBeUndefined()
      expect(priceOf(model, MILLION, {}, { provider: 'openai', baseUrl: 'http://127.0.0.1:9/v1' })).toBeUndefined()
    },
  )
})

describe("the user's prices", () => {
  const cheap = { input: 1, output: 2 }

  test('go before the table, the one of the provider before the one of the model', () => {
    const own = { 'gpt-5': cheap, 'openai/gpt-5': { input: 7, output: 0 } }
    expect(priceOf('gpt-5', MILLION, own)).toBe(1)
    expect(priceOf('gpt-5', MILLION, own, { provider: 'openai' })).toBe(7)
    expect(priceOf('gpt-5', MILLION, own, { provider: 'openai-compatible' })).toBe(1)
  })

  test('a provider may be the one that the address belongs to', () => {
    const endpoint = { provider: 'openai-compatible', baseUrl: 'https://api.z.ai/api/paas/v4' }
    expect(priceOf('glm-4.6', MILLION, { 'zai/glm-4.6': cheap, 'glm-4.6': { input: 9, output: 9 } }, endpoint)).toBe(1)
  })

  test('cached input costs what input costs, unless said', () => {
    const counts = tokens({ input: 1e6, cache_read: 1e6, cache_write: 1e6, output: 1e6 })
    expect(priceOf('m', counts, { m: cheap })).toBe(5)
    expect(priceOf('m', counts, { m: { ...cheap, cache_read: 0, cache_write: 10 } })).toBe(13)
  })

  test('a price of nothing is a price', () => {
    expect(priceOf('local', MILLION, { local: { input: 0, output: 0 } })).toBe(0)
  })
})

test('whatever the counts are, the answer is a number that is not negative, or nothing', () => {
  const count = fc.oneof(fc.integer({ min: -10, max: 1e9 }), fc.double(), fc.constantFrom(Number.NaN, Infinity))
  const model = fc.constantFrom('gpt-5', 'claude-sonnet-4-5', 'gemini-2.5-pro', 'kimi-k2', 'deepseek-chat', 'nobody')
  fc.assert(
    fc.property(
      fc.record({ input: count, cache_read: count, cache_write: count, output: count }),
      model,
      (counts, name) => {
        const usd = priceOf(name, counts, {})
        expect(usd === undefined || (Number.isFinite(usd) && usd >= 0)).toBe(true)
      },
    ),
  )
})

test('the table is loaded by the first question about it only', () => {
  const source = fileURLToPath(new URL('../../../src/effects/agents/pricing.ts', import.meta.url))
  const script = `
    import { createRequire } from 'node:module'
    const { priceOf } = await import(${JSON.stringify(source)})
    const { cache } = createRequire(${JSON.stringify(source)})
    const loaded = () => Object.keys(cache).some((name) => name.includes('genai-prices'))
    const none = { input: 0, cache_read: 0, cache_write: 0, output: 0 }
    const before = [loaded(), priceOf('m', none, { m: { input: 1, output: 1 } }), loaded()]
    priceOf('gpt-5', none, {})
    console.log(JSON.stringify([...before, loaded()]))`
  const said = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
  expect(JSON.parse(said)).toEqual([false, 0, false, true])
})
