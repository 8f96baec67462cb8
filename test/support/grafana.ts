// Owns: reading dashboards as Grafana does, for tests: which queries they ask, what stands for a variable in a query and
// in a link, which step a chart gets. Rules read in Grafana 13's Prometheus data source and data links.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Dashboard, Panel, RowPanel } from '@grafana/grafana-foundation-sdk/dashboard'
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus'
import { PROJECT_ROOT } from './cli.ts'

export interface DashboardFile {
  readonly name: string
  readonly text: string
  readonly dashboard: Dashboard
}
export interface PanelQuery {
  readonly board: string
  readonly panel: Panel
  readonly refId: string
  readonly expr: string
  /** Range queries draw a chart; the others give one value at the end of the range. */
  readonly kind: 'instant' | 'range'
  /** Shortest step in seconds. */
  readonly minStepS: number
}
export interface TimeRange {
  /** Unix seconds. */
  readonly from: number
  readonly to: number
}

/** The committed dashboards, by file name. */
export function readDashboards(): DashboardFile[] {
  const directory = path.join(PROJECT_ROOT, 'dashboards')
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .map((name) => {
      const text = readFileSync(path.join(directory, name), 'utf8')
      return { name, text, dashboard: JSON.parse(text) as Dashboard }
    })
}

const isPanel = (item: Panel | RowPanel): item is Panel => item.type !== 'row'
export const panelsOf = ({ panels = [] }: Dashboard): Panel[] => panels.filter(isPanel)

export function queriesOf(dashboard: Dashboard): PanelQuery[] {
  return panelsOf(dashboard).flatMap((panel) =>
    ((panel.targets ?? []) as Dataquery[]).map((target) => ({
      board: dashboard.uid ?? '',
      panel,
      refId: target.refId ?? '',
      expr: target.expr,
      kind: target.range === true ? ('range' as const) : ('instant' as const),
      minStepS: Number((target.interval ?? '15s').replace(/s$/, '')),
    })),
  )
}

/** What Grafana rounds an interval to: https://github.com/grafana/grafana, `roundInterval`. */
const STEPS: readonly (readonly [belowS: number, stepS: number])[] = [
  [1.5, 1],
  [3.5, 2],
  [7.5, 5],
  [12.5, 10],
  [17.5, 15],
  [25, 20],
  [45, 30],
  [90, 60],
  [210, 120],
  [450, 300],
  [750, 600],
  [1_050, 900],
  [1_500, 1_200],
  [2_700, 1_800],
  [5_400, 3_600],
  [9_000, 7_200],
  [16_200, 10_800],
  [32_400, 21_600],
  [86_400, 43_200],
]

/** Step of a chart, and with it `$__interval`. */
export function stepOf({ panel, minStepS }: PanelQuery, { from, to }: TimeRange): number {
  const wanted = (to - from) / (panel.maxDataPoints ?? 1_000)
  const rounded = STEPS.find(([below]) => wanted < below)?.[1] ?? 86_400
  return Math.max(rounded, minStepS)
}

/** Start and end of a range query: both rounded down to the step. */
export const alignedTo = (step: number, { from, to }: TimeRange): { start: number; end: number; step: number } => ({
  start: Math.floor(from / step) * step,
  end: Math.floor(to / step) * step,
  step,
})

export type Values = Readonly<Record<string, readonly string[]>>

const escapedRegExp = (value: string): string => value.replaceAll(/[\\^$*+?.()|[\]{}]/g, String.raw`\\$&`)

/** A query as it is sent: variables of the dashboard (none chosen = all) and Grafana's own. */
export function interpolated(expr: string, range: TimeRange, step: number, chosen: Values = {}): string {
  const own: Readonly<Record<string, string>> = {
    __range: `${Math.round(range.to - range.from)}s`,
    __interval: `${step}s`,
    __rate_interval: `${Math.max(step + 15, 60)}s`,
  }
  return expr.replaceAll(/\$(\w+)/g, (_, name: string) => {
    if (own[name] !== undefined) return own[name]
    const values = chosen[name]
    if (values === undefined) return '.*'
    return values.length === 1 ? escapedRegExp(values[0]!) : `(${values.map(escapedRegExp).join('|')})`
  })
}

/** `label_values(SELECTOR, LABEL)` of a variable. */
export function labelValuesOf(query: unknown): { selector: string; label: string } | undefined {
  const text = typeof query === 'string' ? query : (query as { query?: string }).query
  const match = /^label_values\((.+),\s*(\w+)\)$/.exec(text ?? '')
  return match ? { selector: match[1]!, label: match[2]! } : undefined
}

/** Names of all `${…}` in a link, without their format. */
export const placeholdersOf = (url: string): string[] =>
  [...url.matchAll(/\$\{([^}:]+)(?::\w+)?\}/g)].map((match) => match[1]!)

/** A link as the browser opens it. `labels` are those of the clicked value. */
export function opened(
  url: string,
  range: TimeRange,
  labels: Readonly<Record<string, string>>,
  chosen: Record<string, string>,
): string {
  return url.replaceAll(/\$\{([^}:]+)(?::(\w+))?\}/g, (_, name: string, format: string | undefined) => {
    const label = /^__(?:field\.labels|data\.fields)\.(.+)$/.exec(name)?.[1]
    const own: Readonly<Record<string, string>> = {
      __from: `${Math.round(range.from * 1_000)}`,
      __to: `${Math.round(range.to * 1_000)}`,
      __url_time_range: `from=${Math.round(range.from * 1_000)}&to=${Math.round(range.to * 1_000)}`,
    }
    const value = label === undefined ? (own[name] ?? chosen[name]) : labels[label]
    if (value === undefined) throw new Error(`Nothing stands for ${name} in ${url}`)
    return format === 'percentencode' ? encodeURIComponent(value) : value
  })
}
