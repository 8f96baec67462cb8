// Owns: the journal's time format. The core computes with epoch milliseconds (fractions = microseconds) that inputs
// bring along; it never asks a clock.

/** RFC 3339 in microseconds, UTC. */
export function toTimestamp(epochMs: number): string {
  const whole = Math.floor(epochMs)
  const micros = Math.min(999, Math.round((epochMs - whole) * 1_000))
  return `${new Date(whole).toISOString().slice(0, -1)}${String(micros).padStart(3, '0')}Z`
}

/** Epoch milliseconds (fractions = microseconds) of an RFC 3339 time; NaN when it is none. */
export function fromTimestamp(text: string): number {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})(\d{3})Z$/.exec(text)
  return match ? Date.parse(`${match[1]}Z`) + Number(match[2]) / 1_000 : Date.parse(text)
}
