// When a rate limit ends, as clients and providers say it: clock times in a zone, dates, seconds; anything else is unknown.
import { expect, test } from 'vitest'
import { resetTime } from '../../../src/effects/agents/reset-time.ts'

const NOW = Date.UTC(2026, 10, 21, 16, 45)

test.each([
  ["You've hit your 5-hour limit · resets 5:15pm (UTC)", '2026-11-21T17:15:00Z'],
  ["You've hit your session limit · resets 3am (Europe/Berlin)", '2026-11-22T02:00:00Z'],
  ['weekly limit · resets Nov 24, 3pm (America/New_York)', '2026-11-24T20:00:00Z'],
  ['weekly limit · resets Jan 2, 12am (UTC)', '2027-01-02T00:00:00Z'],
  ['5-hour limit reached ∙ resets 12pm (UTC)', '2026-11-22T12:00:00Z'],
  ['usage limit resets at 17:00 UTC', '2026-11-21T17:00:00Z'],
  ['Claude AI usage limit reached|1795400000', new Date(1_795_400_000_000).toISOString()],
  ['Your limit will reset at 2026-11-22 05:00:00 UTC', '2026-11-22T05:00:00Z'],
  ['Your limit will reset at 2026-11-22T05:00:00+08:00', '2026-11-21T21:00:00Z'],
  ['Rate limit reached. Please try again in 1m30.5s. Visit …', '2026-11-21T16:46:30.500Z'],
  ['You have hit your usage limit. Try again at 5:15 PM (UTC).', '2026-11-21T17:15:00Z'],
  ['try again at Nov 24th, 2026 3:15 PM (UTC)', '2026-11-24T15:15:00Z'],
  ['{"error":{"type":"usage_limit_reached","resets_in_seconds":90}}', '2026-11-21T16:46:30Z'],
  ['{"resets_at": 1795400000}', new Date(1_795_400_000_000).toISOString()],
  ['please retry after 20 seconds', '2026-11-21T16:45:20Z'],
  ['try again in 250ms', '2026-11-21T16:45:00.250Z'],
  ['try again in 2 days 3 hours', '2026-11-23T19:45:00Z'],
])('%s', (text, expected) => {
  expect(new Date(resetTime(text, NOW) ?? 0).toISOString()).toBe(new Date(expected).toISOString())
})

test('a time without a zone is the machine’s', () => {
  const time = resetTime('Your limit will reset at 2026-11-22 05:00:00', NOW)
  expect(time).toBe(Date.parse('2026-11-22T05:00:00'))
})

test.each([
  'API Error: Request rejected (429) · This request would exceed your rate limit',
  'resets 5 tokens',
  'resets 3am (Not/AZone)',
  'try again in a moment',
  '',
])('no time in: %s', (text) => {
  expect(resetTime(text, NOW)).toBeUndefined()
})
