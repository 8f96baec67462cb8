// Owns: the four kinds of panel that the dashboards are made of (figure, bars, lines, table), each with a description and
// with words for the case that it is empty. Knows Grafana's SDK and nothing of what is shown.
import {
  AxisPlacement,
  BarAlignment,
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  GraphGradientMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TableCellHeight,
  TableSortByFieldStateBuilder,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common'
import {
  type DynamicConfigValue,
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder, PromQueryFormat, QueryEditorMode } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatPanel } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TablePanel } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as TimeSeriesPanel } from '@grafana/grafana-foundation-sdk/timeseries'
import { neutral } from './colors.ts'
import { type DataLink, linksOf } from './links.ts'
import { labelOf } from './series.ts'

export const PROMETHEUS = { type: 'prometheus', uid: 'prometheus' } as const

/** Not shorter than the pause between two deliveries of gauges (10 s) and than Prometheus's own scrapes (15 s). */
const SHORTEST_INTERVAL = '15s'
/** Bars wide enough to be seen; the interval follows from it: 10 min in a day, 15 s in half an hour. */
const MOST_BARS = 150

export type Unit = 'short' | 's' | 'percentunit' | 'currencyUSD' | 'none' | 'bool_yes_no'

export interface Words {
  readonly title: string
  /** What it says, how it is computed. */
  readonly description: string
  /** Shown in place of data; it is what is true then, not "no data". */
  readonly empty: string
}
export interface Look {
  readonly unit?: Unit
  readonly decimals?: number
  readonly max?: number
  readonly thresholds?: readonly Threshold[]
  readonly links?: readonly DataLink[]
}
/** A panel and the room it takes on the grid of 24 columns. */
export interface Placed {
  readonly panel: Panel
  readonly width: number
  readonly height: number
}

const REF_IDS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const fixed = (color: string): DynamicConfigValue => ({ id: 'color', value: { mode: 'fixed', fixedColor: color } })
const thresholds = (steps: readonly Threshold[]): ThresholdsConfigBuilder =>
  new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([...steps])

const query = (expr: string, refId: string): DataqueryBuilder =>
  new DataqueryBuilder().datasource(PROMETHEUS).editorMode(QueryEditorMode.Code).expr(expr).refId(refId)

/** One number over the whole range, or now. */
export function figure(words: Words, expr: string, look: Look & { readonly width?: number } = {}): Placed {
  const panel = new StatPanel()
    .title(words.title)
    .description(words.description)
    .noValue(words.empty)
    .datasource(PROMETHEUS)
    .withTarget(query(expr, 'A').instant())
    .unit(look.unit ?? 'short')
    .thresholds(thresholds(look.thresholds ?? neutral()))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .colorMode(BigValueColorMode.Value)
    .graphMode(BigValueGraphMode.None)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .dataLinks(linksOf(look.links))
  if (look.decimals !== undefined) panel.decimals(look.decimals)
  if (look.max !== undefined) panel.max(look.max)
  return { panel: panel.build(), width: look.width ?? 3, height: 4 }
}

export interface Series {
  readonly expr: string
  /** Grafana's legend template, as `{{label}}`. */
  readonly legend: string
}
export interface ChartLook extends Look {
  readonly width?: number
  readonly height?: number
  /** Colour of a series by its legend. */
  readonly colors?: Readonly<Record<string, string>>
  /** One hue for all series; without it each name has a colour of its own, which means nothing. */
  readonly hue?: string
  /** Shown behind the names in the legend. */
  readonly legend?: 'sum' | 'max' | 'lastNotNull'
  readonly stacked?: boolean
}

function chart(words: Words, series: readonly Series[], look: ChartLook): TimeSeriesPanel {
  const panel = new TimeSeriesPanel()
    .title(words.title)
    .description(words.description)
    .noValue(words.empty)
    .datasource(PROMETHEUS)
    .interval(SHORTEST_INTERVAL)
    .targets(
      series.map(({ expr, legend }, index) =>
        query(expr, REF_IDS[index]!).range().interval(SHORTEST_INTERVAL).legendFormat(legend),
      ),
    )
    .unit(look.unit ?? 'short')
    .min(0)
    .thresholds(thresholds(look.thresholds ?? neutral()))
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Right)
        .calcs([look.legend ?? 'lastNotNull'])
        .sortBy({ sum: 'Total', max: 'Max', lastNotNull: 'Last *' }[look.legend ?? 'lastNotNull'])
        .sortDesc(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending).hideZeros(true))
    .axisPlacement(AxisPlacement.Auto)
    .gradientMode(GraphGradientMode.None)
    .colorScheme(
      look.hue === undefined
        ? new FieldColorBuilder().mode(FieldColorModeId.PaletteClassicByName)
        : new FieldColorBuilder().mode(FieldColorModeId.Shades).fixedColor(look.hue),
    )
    .dataLinks(linksOf(look.links))
  if (look.decimals !== undefined) panel.decimals(look.decimals)
  if (look.max !== undefined) panel.max(look.max)
  for (const [name, color] of Object.entries(look.colors ?? {}))
    panel.overrideByRegexp(`/^${name}( |$)/`, [fixed(color)])
  return panel
}

const placed = (panel: TimeSeriesPanel, look: ChartLook): Placed => ({
  panel: panel.build(),
  width: look.width ?? 12,
  height: look.height ?? 8,
})

/** What was counted in each interval; a bar begins where its interval begins. */
export function bars(words: Words, series: readonly Series[], look: ChartLook = {}): Placed {
  const panel = chart(words, series, { legend: 'sum', ...look })
    .maxDataPoints(MOST_BARS)
    .drawStyle(GraphDrawStyle.Bars)
    .barAlignment(BarAlignment.After)
    .fillOpacity(80)
    .lineWidth(0)
    .showPoints(VisibilityMode.Never)
    .stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'))
  return placed(panel, look)
}

/** A level over time. Points are joined over at most two minutes: a longer gap is a gap. */
export function lines(words: Words, series: readonly Series[], look: ChartLook = {}): Placed {
  const panel = chart(words, series, { legend: 'max', ...look })
    .maxDataPoints(MOST_BARS * 2)
    .drawStyle(GraphDrawStyle.Line)
    .lineWidth(1)
    .fillOpacity(look.stacked === true ? 25 : 5)
    .spanNulls(120_000)
    .showPoints(VisibilityMode.Auto)
    .stacking(
      new StackingConfigBuilder().mode(look.stacked === true ? StackingMode.Normal : StackingMode.None).group('A'),
    )
  return placed(panel, look)
}

/** One value per interval in which something ended: points, since nothing is known between them. */
export function points(words: Words, series: readonly Series[], look: ChartLook = {}): Placed {
  const panel = chart(words, series, { legend: 'max', ...look })
    .maxDataPoints(MOST_BARS)
    .drawStyle(GraphDrawStyle.Points)
    .pointSize(7)
    .showPoints(VisibilityMode.Always)
    .stacking(new StackingConfigBuilder().mode(StackingMode.None).group('A'))
  return placed(panel, look)
}

export interface Column {
  readonly title: string
  readonly expr: string
  readonly unit?: Unit
  readonly decimals?: number
  readonly thresholds?: readonly Threshold[]
  /** What an empty cell says; `-` when not given. */
  readonly none?: string
}
export interface TableLook {
  /** Attributes (or labels) that make up a row, with the titles of their columns. All columns are grouped by them. */
  readonly keys: readonly (readonly [attribute: string, title: string])[]
  readonly columns: readonly Column[]
  /** Title of the column by which rows are ordered, largest first. */
  readonly sortBy: string
  readonly links?: readonly DataLink[]
  readonly width?: number
  readonly height?: number
}

function columnProperties(column: Column): DynamicConfigValue[] {
  return [
    { id: 'displayName', value: column.title },
    { id: 'unit', value: column.unit ?? 'short' },
    { id: 'noValue', value: column.none ?? '-' },
    { id: 'custom.align', value: 'right' },
    ...(column.decimals === undefined ? [] : [{ id: 'decimals', value: column.decimals }]),
    ...(column.thresholds === undefined
      ? []
      : [
          { id: 'thresholds', value: { mode: ThresholdsMode.Absolute, steps: column.thresholds } },
          { id: 'color', value: { mode: FieldColorModeId.Thresholds } },
          { id: 'custom.cellOptions', value: { type: 'color-text' } },
        ]),
  ]
}

/** Rows by label, one query for each column. */
export function table(words: Words, look: TableLook): Placed {
  const keyLabels = look.keys.map(([attribute]) => labelOf(attribute))
  // Grafana calls the value of the only query `Value`, those of several `Value #A`, `Value #B`.
  const valueField = (index: number): string => (look.columns.length === 1 ? 'Value' : `Value #${REF_IDS[index]}`)
  const order = [...keyLabels, ...look.columns.map((_, index) => valueField(index))]
  const panel = new TablePanel()
    .title(words.title)
    .description(words.description)
    .noValue(words.empty)
    .datasource(PROMETHEUS)
    .targets(
      look.columns.map(({ expr }, index) => query(expr, REF_IDS[index]!).instant().format(PromQueryFormat.Table)),
    )
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        indexByName: Object.fromEntries(order.map((name, index) => [name, index])),
      },
    })
    .cellHeight(TableCellHeight.Sm)
    .sortBy([new TableSortByFieldStateBuilder().displayName(look.sortBy).desc(true)])
    .dataLinks(linksOf(look.links))
  look.keys.forEach(([attribute, title]) =>
    panel.overrideByName(labelOf(attribute), [
      { id: 'displayName', value: title },
      { id: 'noValue', value: '-' },
    ]),
  )
  look.columns.forEach((column, index) => panel.overrideByName(valueField(index), columnProperties(column)))
  return { panel: panel.build(), width: look.width ?? 24, height: look.height ?? 8 }
}
