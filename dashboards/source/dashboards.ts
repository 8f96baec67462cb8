// Owns: the list of dashboards and the files they are committed as. scripts/generate-dashboards.ts writes them, a test
// compares them.
import { type Board, dashboardOf } from './board.ts'
import { tokensAndCost } from './cost.ts'
import { fanout } from './fanout.ts'
import { overview } from './overview.ts'
import { retries } from './retries.ts'
import { stuck } from './stuck.ts'
import { telemetry } from './telemetry.ts'

/** In the order in which they are best read. */
export const BOARDS: readonly Board[] = [overview, retries, fanout, tokensAndCost, stuck, telemetry]

/** File name below dashboards/ → its text. */
export const dashboardFiles = (): ReadonlyMap<string, string> =>
  new Map(BOARDS.map((board) => [`${board.uid}.json`, `${JSON.stringify(dashboardOf(board), null, 2)}\n`]))
