// Types of scripted-provider.mjs, where the fields of a scenario are explained.

export interface Turn {
  readonly text?: string
  readonly reasoning?: string
  readonly tools?: readonly { readonly name: string; readonly args?: Readonly<Record<string, unknown>> }[]
  readonly usage?: Readonly<Partial<Record<'input' | 'output' | 'cacheRead' | 'cacheWrite' | 'reasoning', number>>>
  readonly stop?: 'end' | 'length' | 'tool' | 'refusal' | 'safety'
  readonly error?: {
    readonly status: number
    readonly type?: string
    readonly message?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: unknown
  }
  readonly streamError?: { readonly type: string; readonly code?: string; readonly message: string }
  readonly delayMs?: number
  readonly hang?: boolean
  readonly stall?: boolean
  readonly truncate?: boolean
  readonly unfinished?: boolean
  readonly malformed?: boolean
}
export interface Scenario {
  readonly turns?: readonly Turn[]
  readonly after?: 'repeat-last' | 'done'
  readonly keys?: Readonly<Record<string, Scenario>>
}
export interface ProviderRequest {
  /** When it came. */
  readonly at: string
  readonly key: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly main?: boolean
  /** What came back: a status, or how it was not answered. */
  readonly answer?: number | string
  readonly turn?: number | 'side'
  /** With `full` only. */
  readonly body?: { readonly [key: string]: unknown }
}
export interface Provider {
  readonly url: string
  readonly requests: readonly ProviderRequest[]
  setScenario(scenario: Scenario): void
  close(): Promise<void>
}
export function startProvider(options?: { scenario?: Scenario; full?: boolean }): Promise<Provider>
