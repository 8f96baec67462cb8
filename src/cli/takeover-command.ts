// Owns: how the sentinel of a run calls the takeover program: from source or built, with the same Node.
import { fileURLToPath } from 'node:url'

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'

/** Program and arguments; the run directory is put behind them. */
export const TAKEOVER: readonly string[] = [
  process.execPath,
  fileURLToPath(new URL(`./takeover.${extension}`, import.meta.url)),
]
