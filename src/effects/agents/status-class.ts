// Owns: which kind of error an HTTP status of a model provider is, and what its text adds to that.
import type { ErrorClass } from './adapter.ts'

/** @param status 400 or more */
export function classOfStatus(status: number): ErrorClass {
  if (status === 401 || status === 403) return 'auth'
  if (status === 402) return 'quota'
  if (status === 404) return 'not_found'
  if (status === 413) return 'context_length'
  if (status === 429) return 'rate_limit'
  if (status === 529) return 'overloaded'
  return status === 408 || status >= 500 ? 'server' : 'bad_request'
}

/** First match wins; texts of providers, whoever passes them on. */
const TEXTS: readonly (readonly [RegExp, ErrorClass])[] = [
  [/api key not valid|API_KEY_INVALID|invalid api key|incorrect api key|unauthori[sz]ed|authentication/i, 'auth'],
  [
    /token count .* exceeds|context[ _](?:length|window)|maximum context|(?:prompt|input) is too long|too many tokens|request_too_large/i,
    'context_length',
  ],
  [
    /daily quota|insufficient[_ ](?:quota|balance)|exceeded your current quota|credit balance is too low|check your plan and billing|usage limit/i,
    'quota',
  ],
  [/rate.?limit|too many requests|RESOURCE_EXHAUSTED|resource exhausted/i, 'rate_limit'],
  [/overloaded|at capacity|high demand/i, 'overloaded'],
  [/content[ _](?:filter|policy)|blocked by|safety/i, 'content_filter'],
  [/model.{0,80}(?:not found|does not exist|not supported)|not found for API version/i, 'not_found'],
  [/fetch failed|ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|connection refused|unable to connect|getaddrinfo/i, 'network'],
  [/terminated|other side closed|connection (?:reset|closed|lost)|socket|aborted|JSON|stream|timed? ?out/i, 'stream'],
]

/** What the text alone says; undefined when it says nothing that is known. */
const classOfText = (text: string): ErrorClass | undefined => TEXTS.find(([pattern]) => pattern.test(text))?.[1]

/** Some statuses stand for several kinds, which only the text tells apart. */
const FINER: Readonly<Partial<Record<ErrorClass, ReadonlySet<ErrorClass>>>> = {
  bad_request: new Set(['auth', 'context_length', 'content_filter', 'not_found', 'quota']),
  rate_limit: new Set(['quota', 'overloaded']),
  server: new Set(['overloaded']),
}

/** The status decides, where there is one; the text may be more exact about it. */
export function errorClassOf(status: number | undefined, text: string): ErrorClass {
  const said = classOfText(text)
  if (status === undefined || status < 400) return said ?? 'unknown'
  const byStatus = classOfStatus(status)
  return said !== undefined && FINER[byStatus]?.has(said) ? said : byStatus
}
