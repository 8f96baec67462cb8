// Owns: where each part of the stack is asked: flags, environment, or the ports of `.env` on this machine.
import { SpanwrightError } from '../../core/error.ts'
import type { StackSettings } from './compose-file.ts'
import { PARTS, urlVariable, type Part, type PartId } from './parts.ts'

export interface Address {
  readonly part: Part
  /** Without a slash at its end. */
  readonly url: string
}
export interface Addresses {
  readonly list: readonly Address[]
  /** The stack of the compose file on this machine: containers can say why a part does not answer. */
  readonly local: boolean
}

/** The published ports on this machine. @param loki whether Loki is one of the parts. */
export function localAddresses(settings: StackSettings, loki: boolean): readonly Address[] {
  return PARTS.filter(({ id }) => id !== 'loki' || loki).map((part) => ({
    part,
    url: `http://127.0.0.1:${portOf(part, settings)}`,
  }))
}

/**
 * The addresses that flags (`--jaeger URL`) or variables (`SPANWRIGHT_STACK_JAEGER_URL`) name; a flag goes first. As soon
 * as one is named only the named ones are asked: the rest of that stack is not on this machine. None named: the local one.
 */
export function statusAddresses(
  named: (id: PartId) => string | undefined,
  settings: StackSettings,
  env: NodeJS.ProcessEnv = process.env,
): Addresses {
  const list = PARTS.flatMap((part) => {
    const url = named(part.id) ?? (env[urlVariable(part.id)] || undefined)
    return url === undefined ? [] : [{ part, url: parseUrl(part, url) }]
  })
  if (list.length > 0) return { list, local: false }
  const loki = (settings('COMPOSE_PROFILES') ?? '').split(',').includes('loki')
  return { list: localAddresses(settings, loki), local: true }
}

/** The port that a part is published on. */
export function portOf({ portVariable, port }: Part, settings: StackSettings): number {
  const text = settings(portVariable)
  if (text === undefined) return port
  const value = Number(text)
  if (Number.isInteger(value) && value > 0 && value < 65_536) return value
  throw new SpanwrightError('usage.invalid', `${portVariable}=${text} is no port: expected a number from 1 to 65535`)
}

function parseUrl(part: Part, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const where = `the address of ${part.name} (--${part.id} or ${urlVariable(part.id)})`
  if (!url || !/^https?:$/.test(url.protocol))
    throw new SpanwrightError('usage.invalid', `${where} is not an http or https URL: ${text}`)
  if (url.username !== '' || url.password !== '')
    throw new SpanwrightError(
      'usage.invalid',
      `${where} holds a user or a password, which cannot be sent: leave them out`,
    )
  return url.href.replace(/\/+$/, '')
}
