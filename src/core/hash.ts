// Owns: the one deterministic hash of the core (span ids, jitter, signatures). Not for secrets: it is a mixer,
// chosen because the core may not import node:crypto. Based on cyrb53's mixing steps (public domain, bryc).

/** 64 bits of `text` as 16 lower-case hex digits; never all zero (an all-zero span id is invalid in W3C Trace Context). */
export function hash64(text: string): string {
  let a = 0xdeadbeef
  let b = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    a = Math.imul(a ^ c, 2654435761)
    b = Math.imul(b ^ c, 1597334677)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  const hex = (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0')
  return hex === '0000000000000000' ? '0000000000000001' : hex
}

/** A number in [0, 1) that is the same for the same text. */
export function hashUnit(text: string): number {
  return Number.parseInt(hash64(text).slice(0, 12), 16) / 0x1000000000000
}
