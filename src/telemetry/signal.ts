// Owns: the three signals of telemetry and what may become of something sent to a receiver.

export const SIGNALS = ['traces', 'logs', 'metrics'] as const
export type Signal = (typeof SIGNALS)[number]

/** How the items of a signal are called in sentences. */
export const ITEMS: { readonly [signal in Signal]: string } = {
  traces: 'spans',
  logs: 'log records',
  metrics: 'measurements',
}

export type SendOutcome =
  | { readonly kind: 'accepted'; readonly rejected: number; readonly message?: string }
  /** The receiver will never take this batch. */
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'too_large'; readonly message: string }
  /** Nobody is there, or not for us: worth another try later. */
  | { readonly kind: 'unavailable'; readonly message: string }
  /** The receiver knows nothing of this signal. */
  | { readonly kind: 'unsupported'; readonly message: string }
