// Owns: the last bytes of a stream of any length, in constant memory.

export class ByteTail {
  readonly #ring: Buffer
  #total = 0

  constructor(capacity: number) {
    this.#ring = Buffer.alloc(capacity)
  }

  /** Bytes ever pushed. */
  get total(): number {
    return this.#total
  }

  push(chunk: Uint8Array): void {
    const capacity = this.#ring.length
    const kept = chunk.length > capacity ? chunk.subarray(chunk.length - capacity) : chunk
    const at = (this.#total + chunk.length - kept.length) % capacity
    const first = Math.min(kept.length, capacity - at)
    this.#ring.set(kept.subarray(0, first), at)
    this.#ring.set(kept.subarray(first), 0)
    this.#total += chunk.length
  }

  /** A copy, oldest byte first. */
  bytes(): Buffer {
    if (this.#total <= this.#ring.length) return Buffer.from(this.#ring.subarray(0, this.#total))
    const at = this.#total % this.#ring.length
    return Buffer.concat([this.#ring.subarray(at), this.#ring.subarray(0, at)])
  }
}

/** The last `maxBytes` of `bytes` as text, from a whole character on; what is no UTF-8 becomes U+FFFD. */
export function lastText(bytes: Uint8Array, maxBytes: number): string {
  let start = Math.max(0, bytes.length - maxBytes)
  // At most three continuation bytes belong to a character that began before.
  for (let i = 0; start > 0 && i < 3 && (bytes[start]! & 0xc0) === 0x80; i++) start++
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, bytes.length - start).toString('utf8')
  if (Buffer.byteLength(text) <= maxBytes) return text
  // U+FFFD is longer than the byte it stands for.
  return lastText(Buffer.from(text), maxBytes)
}
