// Owns: asking a real Prometheus what a panel of a committed dashboard shows, with the same queries that Grafana sends.
import type { Dashboard, Panel } from '@grafana/grafana-foundation-sdk/dashboard'
import {
  alignedTo,
  interpolated,
  panelsOf,
  queriesOf,
  readDashboards,
  stepOf,
  type PanelQuery,
  type TimeRange,
  type Values,
} from '../../support/grafana.ts'
import type { PrometheusClient, Sample } from './prometheus-client.ts'

/** A value of a panel: of a figure or a cell, or the sum of a series' bars. */
export interface Shown extends Sample {
  readonly query: PanelQuery
  /** What a chart drew: Unix seconds and value. */
  readonly points?: readonly (readonly [number, number])[]
}
export interface DashboardReader {
  readonly boards: readonly Dashboard[]
  readonly panel: (uid: string, title: string) => Panel
  /** Everything that one query of a panel answers. */
  readonly ask: (query: PanelQuery) => Promise<Shown[]>
  /** Everything that a panel shows; `chosen` are the variables that are not on "All". */
  readonly shown: (uid: string, title: string, chosen?: Values) => Promise<Shown[]>
  /** The number of a figure; undefined where it shows its words for "empty". */
  readonly figure: (uid: string, title: string, chosen?: Values) => Promise<number | undefined>
  /** Cells of a table's column, as `label/label` → value, labels in the order of `keys`. */
  readonly column: (
    place: readonly [uid: string, table: string, column: string],
    keys: readonly string[],
    chosen?: Values,
  ) => Promise<Record<string, number>>
}

export function dashboardReader(prometheus: PrometheusClient, range: TimeRange): DashboardReader {
  const boards = readDashboards().map(({ dashboard }) => dashboard)
  const board = (uid: string): Dashboard =>
    found(
      boards.find((one) => one.uid === uid),
      uid,
    )

  async function ask(query: PanelQuery, chosen: Values = {}): Promise<Shown[]> {
    const step = stepOf(query, range)
    const expr = interpolated(query.expr, range, step, chosen)
    if (query.kind === 'instant')
      return (await prometheus.instant(expr, range.to)).map((sample) => ({ ...sample, query }))
    const series = await prometheus.range(expr, alignedTo(step, range))
    return series.map(({ labels, values }) => ({
      labels,
      query,
      points: values,
      value: values.reduce((sum, [, value]) => sum + value, 0),
    }))
  }
  const queries = (uid: string, title: string): PanelQuery[] => {
    const all = queriesOf(board(uid)).filter(({ panel }) => panel.title === title)
    if (all.length === 0) throw new Error(`${uid} has no panel "${title}"`)
    return all
  }
  /** Two panels of a board may have the same title: a figure and a chart over time. */
  const shown: DashboardReader['shown'] = async (uid, title, chosen) =>
    (await Promise.all(queries(uid, title).map((query) => ask(query, chosen)))).flat()

  return {
    boards,
    ask,
    shown,
    panel: (uid, title) =>
      found(
        panelsOf(board(uid)).find((panel) => panel.title === title),
        title,
      ),
    async figure(uid, title, chosen) {
      const query = found(
        queries(uid, title).find(({ panel }) => panel.type === 'stat'),
        title,
      )
      const values = await ask(query, chosen)
      if (values.length > 1) throw new Error(`${title} has ${values.length} values`)
      return values[0]?.value
    },
    async column([uid, title, column], keys, chosen) {
      const ofTable = queries(uid, title).filter(({ panel }) => panel.type === 'table')
      const query = found(
        ofTable.find(({ panel, refId }) => columnTitle(panel, refId) === column),
        column,
      )
      const values = await ask(query, chosen)
      return Object.fromEntries(
        values.map(({ labels, value }) => [keys.map((key) => labels[key] ?? '').join('/'), value]),
      )
    },
  }
}

/** The heading of the column that a query fills. */
function columnTitle({ targets = [], fieldConfig }: Panel, refId: string): unknown {
  const field = targets.length === 1 ? 'Value' : `Value #${refId}`
  const override = fieldConfig?.overrides.find(({ matcher }) => matcher.options === field)
  return override?.properties.find(({ id }) => id === 'displayName')?.value
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`There is no ${what}`)
  return value
}
