// Owns: how the terminal writes times, counts, tokens and money. Must not: know where the amounts come from.

/** `12ms`, `0.4s`, `7.2s`, `52s`, `4m 02s`, `1h 37m 52s`, `2d 03h 10m`; `short` leaves out what is below a minute or hour. */
export function elapsed(ms: number, short = false): string {
  if (ms < 100) return `${Math.max(0, Math.floor(ms))}ms`
  const tenths = Math.floor(ms / 100)
  if (tenths < 100) return `${(tenths / 10).toFixed(1)}s`
  const seconds = Math.floor(tenths / 10)
  const two = (value: number): string => String(value).padStart(2, '0')
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  if (minutes === 0) return `${seconds}s`
  if (hours === 0) return `${minutes}m ${two(seconds % 60)}s`
  if (hours >= 24) return `${Math.floor(hours / 24)}d ${two(hours % 24)}h${short ? '' : ` ${two(minutes % 60)}m`}`
  return `${hours}h ${two(minutes % 60)}m${short ? '' : ` ${two(seconds % 60)}s`}`
}

/** Time left, as a clock: `00:14`, `21:05`, `23:46:10`. Never negative. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1_000))
  const two = (value: number): string => String(value).padStart(2, '0')
  const clock = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return seconds < 3_600 ? clock : `${two(Math.floor(seconds / 3_600))}:${clock}`
}

/** Time of day of an epoch ms in the local zone, `11:21:00`. */
export function timeOfDay(epochMs: number): string {
  const at = new Date(epochMs)
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((value) => String(value).padStart(2, '0')).join(':')
}

/** `1,000`. */
export const count = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',')

/** `1 retry`, `2 retries`. */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

/** `214k`, `9.84M`. */
export function tokens(value: number): string {
  if (value < 1_000) return String(Math.round(value))
  if (value < 1_000_000) return `${Math.round(value / 1_000)}k`
  return `${(value / 1_000_000).toFixed(2)}M`
}

/** `$2.84`; below a cent four digits. */
export const usd = (value: number): string => `$${value > 0 && value < 0.01 ? value.toFixed(4) : value.toFixed(2)}`

/** What was spent: `$21.37 + 6 unpriced`, `6 unpriced`; empty when nothing was. */
export function spend(costUsd: number, unpriced: number): string {
  if (unpriced === 0) return costUsd === 0 ? '' : usd(costUsd)
  return costUsd === 0 ? `${unpriced} unpriced` : `${usd(costUsd)} + ${unpriced} unpriced`
}

/** `88 MB`; bytes in steps of 1,000. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let scaled = value
  let unit = 0
  while (scaled >= 1_000 && unit < units.length - 1) {
    scaled /= 1_000
    unit++
  }
  return `${unit === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit]}`
}
