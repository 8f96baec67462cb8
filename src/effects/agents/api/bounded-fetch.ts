// Owns: what a provider may send: answers of bounded size once they are unpacked, and no redirect: what goes along with a
// request (a key in a header of its own, the conversation) would go to whoever is named there.
import { LIMITS } from '../../../core/limits.ts'

/** The global fetch within these bounds. A redirect is answered with its status and a message that says what to do. */
export const boundedFetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
  const response = await fetch(input, { ...init, redirect: 'manual' })
  if (response.status >= 300 && response.status < 400) {
    await response.body?.cancel()
    const message = `the provider sends requests on to ${placeOf(response.headers.get('location'))}, which is not followed: name the right address in base_url`
    return Response.json({ error: { message } }, { status: response.status })
  }
  if (!response.body) return response
  const { status, statusText, headers } = response
  const limit = status >= 400 ? LIMITS.answerErrorBytes : LIMITS.answerBytes
  return new Response(response.body.pipeThrough(bounded(limit)), { status, statusText, headers })
}

const placeOf = (location: string | null): string => {
  const address = location === null || !URL.canParse(location) ? undefined : new URL(location)
  return address ? `${address.protocol}//${address.host}` : 'another address'
}

/** Who reads it looks at a line from its beginning again with every piece of it. */
function bounded(limit: number): TransformStream<Uint8Array, Uint8Array> {
  let left = limit
  let line = 0
  return new TransformStream({
    transform(chunk, controller) {
      left -= chunk.length
      const end = chunk.lastIndexOf(NEWLINE)
      line = end < 0 ? line + chunk.length : chunk.length - end - 1
      if (left < 0 || line > LIMITS.answerLineBytes) controller.error(new AnswerTooLarge())
      else controller.enqueue(chunk)
    },
  })
}

const NEWLINE = 0x0a

/** Trying again would bring the same. */
export class AnswerTooLarge extends Error {
  constructor() {
    super('the provider sent more than any model writes in one answer')
  }
}
