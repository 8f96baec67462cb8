// Owns: what all dashboards share: variables, links between them, alerts as annotations, time range, layout, ids.
import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  type RowPanel,
  TextBoxVariableBuilder,
  VariableHide,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DEFAULT_SERVICE_NAME, ATTR } from '../../src/telemetry/names.ts'
import { JAEGER_VARIABLE, PROMETHEUS_VARIABLE, SERVICE_VARIABLE, shownLink } from './links.ts'
import { type Placed, PROMETHEUS } from './panels.ts'
import { labelOf, seriesOf } from './series.ts'

const TAG = 'spanwright'
const GRID_WIDTH = 24
const JAEGER_URL = 'http://127.0.0.1:16686'
const PROMETHEUS_URL = 'http://127.0.0.1:9090'

export interface Row {
  readonly title: string
  readonly panels: readonly Placed[]
}
export interface Board {
  readonly uid: string
  readonly title: string
  readonly description: string
  /** Shown variables. The pipeline is there on every dashboard, so that it goes along from one to the next. */
  readonly variables: readonly ('pipeline' | 'node' | 'instance')[]
  readonly rows: readonly Row[]
}

const pipelineLabel = labelOf(ATTR.pipelineName)
const nodeLabel = labelOf(ATTR.taskName)
/** Matches all of the named series: what the lists of names are read from. */
const anyOf = (...series: readonly string[]): string => `__name__=~"${series.join('|')}"`

function listVariable(name: string, label: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(PROMETHEUS)
    .query({ query, refId: `variable-${name}` })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current({ selected: true, text: ['All'], value: ['$__all'] })
}

const VARIABLES = {
  // A run that has ended is counted; one that is under way has its gauge.
  pipeline: () =>
    listVariable(
      'pipeline',
      'Pipeline',
      `label_values({${anyOf(seriesOf('runsOpen'), `${seriesOf('runDuration')}_count`)}}, ${pipelineLabel})`,
    ),
  node: () =>
    listVariable(
      'node',
      'Node',
      `label_values({${anyOf(
        ...(['attemptsOpen', 'attempts', 'branchesOpen', 'gatesOpen'] as const).map(seriesOf),
      )}, ${pipelineLabel}=~"$pipeline"}, ${nodeLabel})`,
    ),
  instance: () => listVariable('instance', 'Process', `label_values(${seriesOf('heartbeat')}, instance)`),
} as const

const hiddenText = (name: string, value: string, description: string): TextBoxVariableBuilder =>
  new TextBoxVariableBuilder(name)
    .hide(VariableHide.HideVariable)
    .defaultValue(value)
    .current({ selected: true, text: value, value })
    .description(description)

/** What fires of this project's rules (collector/rules) for the chosen pipelines, and what belongs to no pipeline. */
export const FIRING = `ALERTS{alertname=~"Spanwright.+", alertstate="firing", ${pipelineLabel}=~"$pipeline|"}`

function firingAlerts(): AnnotationQueryBuilder {
  const annotation = new AnnotationQueryBuilder()
    .name('Alerts')
    .datasource(PROMETHEUS)
    .enable(true)
    .iconColor('red')
    .expr(FIRING)
    .step('60s')
    .titleFormat('{{alertname}}')
    .textFormat(`{{${pipelineLabel}}} {{${nodeLabel}}}`)
    .tagKeys('severity')
  // The SDK would put its switch into a menu.
  delete annotation.build().placement
  return annotation
}

const otherBoards = (): DashboardLinkBuilder =>
  shownLink(
    new DashboardLinkBuilder('Spanwright')
      .type(DashboardLinkType.Dashboards)
      .tags([TAG])
      .includeVars(true)
      .keepTime(true)
      .asDropdown(false),
  )

const jaegerLink = (): DashboardLinkBuilder =>
  shownLink(
    new DashboardLinkBuilder('Jaeger')
      .type(DashboardLinkType.Link)
      .icon('external link')
      .tooltip('All traces of the time range')
      .url(
        `\${${JAEGER_VARIABLE}:raw}/search?service=\${${SERVICE_VARIABLE}:percentencode}&start=\${__from}000&end=\${__to}000&lookback=custom&limit=100`,
      )
      .targetBlank(true),
  )

/** Rows one below the other, panels from left to right; every panel gets an id, which the SDK leaves out. */
function layOut(rows: readonly Row[]): (Panel | RowPanel)[] {
  const items: (Panel | RowPanel)[] = []
  let y = 0
  for (const row of rows) {
    items.push({
      ...new RowBuilder(row.title).gridPos({ x: 0, y, w: GRID_WIDTH, h: 1 }).build(),
      id: items.length + 1,
    })
    y += 1
    let x = 0
    let lineHeight = 0
    for (const { panel, width, height } of row.panels) {
      if (x + width > GRID_WIDTH) {
        y += lineHeight
        x = 0
        lineHeight = 0
      }
      items.push({ ...panel, id: items.length + 1, gridPos: { x, y, w: width, h: height } })
      x += width
      lineHeight = Math.max(lineHeight, height)
    }
    y += lineHeight
  }
  return items
}

/** The dashboard as Grafana reads it. */
export function dashboardOf(board: Board): Dashboard {
  const built = new DashboardBuilder(board.title)
    .uid(board.uid)
    .description(board.description)
    .tags([TAG])
    .timezone('browser')
    .time({ from: 'now-24h', to: 'now' })
    .refresh('30s')
    .tooltip(DashboardCursorSync.Crosshair)
    .readonly()
    .variables([
      ...(board.variables.includes('pipeline') ? [] : [VARIABLES.pipeline().hide(VariableHide.HideVariable)]),
      ...board.variables.map((name) => VARIABLES[name]()),
      hiddenText(JAEGER_VARIABLE, JAEGER_URL, 'Where your browser finds Jaeger; links to spans lead there.'),
      hiddenText(
        PROMETHEUS_VARIABLE,
        PROMETHEUS_URL,
        'Where your browser finds Prometheus; links of alerts lead there.',
      ),
      hiddenText(SERVICE_VARIABLE, DEFAULT_SERVICE_NAME, 'service.name of the spans.'),
    ])
    .annotations([firingAlerts()])
    .links([otherBoards(), jaegerLink()])
    .build()
  return { ...built, panels: layOut(board.rows) }
}
