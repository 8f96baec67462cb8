// Owns: which texts are secret (I8): declared secrets, values of suspiciously named variables, each line of them, and
// the ways they look inside JSON. Must not: search or replace anything.
import { existsSync } from 'node:fs'

export interface SecretSources {
  /** Values of the declared `secrets` and of `secret: true` params, whatever their length. */
  readonly secrets?: readonly string[] | undefined
  /** Usually `process.env`; undefined values are ignored. */
  readonly environment?: { readonly [name: string]: string | undefined } | undefined
}

const MIN_LENGTH = 8
const SECRET_NAME = /(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTH)(?:_|$)|HEADERS$/i

/** Whether a variable of this name holds a secret: one of the telling words between underscores, or HEADERS at its end. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name)

/** Every literal to look for, without duplicates, in every form in which it may be written. */
export function secretLiterals(sources: SecretSources): string[] {
  const values = new Set<string>()
  for (const value of sources.secrets ?? []) addValue(values, value)
  for (const [name, value] of Object.entries(sources.environment ?? {})) {
    if (value === undefined || value.length < MIN_LENGTH || !isSecretName(name)) continue
    // SSH_AUTH_SOCK, KEY_FILE and the like name a place; masking it would only hide where something happened.
    if (!existsSync(value)) addValue(values, value)
  }
  const literals = new Set<string>()
  for (const value of values) addForms(literals, value)
  return [...literals]
}

/** The value, without surrounding white space, and its lines: logs are looked at line by line. */
function addValue(values: Set<string>, value: string): void {
  const trimmed = value.trim()
  if (trimmed === '') return
  values.add(trimmed)
  if (!trimmed.includes('\n')) return
  for (const line of trimmed.split('\n')) {
    const text = line.trim()
    if (text.length >= MIN_LENGTH) values.add(text)
  }
}

/** A journal line holds step output inside JSON, and that output may itself quote JSON: three levels are covered. */
function addForms(literals: Set<string>, value: string): void {
  let forms = new Set([value])
  for (let level = 0; level <= 3; level++) {
    for (const form of forms) literals.add(form)
    const next = new Set([...forms].map(jsonEscaped))
    if (level === 0) for (const form of foreignEscapes(value)) next.add(form)
    forms = next
  }
}

const jsonEscaped = (text: string): string => JSON.stringify(text).slice(1, -1)

/** What other common encoders write: ASCII only (Python), `\/` (PHP), `\u0026` for HTML's characters (Go). */
function foreignEscapes(value: string): string[] {
  const escaped = jsonEscaped(value)
  const unicode = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  return [
    escaped.replace(/[\u007f-\uffff]/g, unicode),
    escaped.replaceAll('/', '\\/'),
    escaped.replace(/[<>&\u2028\u2029]/g, unicode),
  ]
}
