// Owns: opening the store that a command was told to use, and finding a run in it. Loads the journal lazily.
import type { Store } from '../journal/store.ts'
import type { Invocation } from './command-table.ts'
import { storePath } from './store-path.ts'

/** The store of `--store`, SPANWRIGHT_STORE or the working directory. Nothing is made. */
export async function openStore(options: Invocation['options']): Promise<Store> {
  const { createNdjsonStore } = await import('../journal/ndjson-store.ts')
  return createNdjsonStore(storePath(options['store']))
}

/** The store and the run that the first argument names. Throws `run.not_found`. */
export async function openRun(
  invocation: Pick<Invocation, 'args' | 'options'>,
): Promise<{ readonly store: Store; readonly runId: string }> {
  const store = await openStore(invocation.options)
  return { store, runId: store.resolve(String(invocation.args[0])) }
}

/** ` --store DIR` for commands that are printed to be run next, where the default would not find the run. */
export function storeOption(options: Invocation['options']): string {
  const { store } = options
  if (typeof store !== 'string') return ''
  return ` --store ${/^[\w./@:+-]+$/.test(store) ? store : `'${store.replaceAll("'", `'\\''`)}'`}`
}
