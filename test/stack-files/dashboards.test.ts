// Owns: proof, without any server, that the committed dashboards are what dashboards/source makes, that they ask only for
// series and labels that exist, in the one way that is exact, and that no panel is without words.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Dashboard, Panel } from '@grafana/grafana-foundation-sdk/dashboard'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { dashboardFiles } from '../../dashboards/source/dashboards.ts'
import { withPanelList } from '../../dashboards/source/panel-list.ts'
import { PROJECT_ROOT } from '../support/cli.ts'
import { ALERT_SERIES, FAILURE_SERIES, FOREIGN_SERIES } from '../support/foreign-series.ts'
import { interpolated, labelValuesOf, panelsOf, placeholdersOf, queriesOf, readDashboards } from '../support/grafana.ts'
import { prometheusSeries } from '../support/prometheus-names.ts'
import { parsePromql, type ParsedQuery, type Selection } from '../support/promql-names.ts'
import { problemsOf } from './sdk-shapes.ts'

const files = readDashboards()
const boards = files.map(({ dashboard }) => dashboard)
const own = prometheusSeries()
const RANGE = { from: 1_800_000_000, to: 1_800_086_400 }
const GRAFANA_VARIABLES = ['__range', '__interval', '__rate_interval']

interface Rule {
  readonly record?: string
  readonly alert?: string
}
const rulesDirectory = path.join(PROJECT_ROOT, 'collector/rules')
const rules = readdirSync(rulesDirectory)
  .filter((name) => name.endsWith('.yml'))
  .map((name) => parse(readFileSync(path.join(rulesDirectory, name), 'utf8')) as { groups: { rules: Rule[] }[] })
  .flatMap(({ groups }) => groups.flatMap((group) => group.rules))
const recorded = new Set(rules.flatMap(({ record }) => (record === undefined ? [] : [record])))

interface PlacedQuery extends ParsedQuery {
  readonly place: string
  readonly expr: string
}
const parsed = (expr: string): ParsedQuery => parsePromql(interpolated(expr, RANGE, 600))

/** Everything of a dashboard that is sent to Prometheus: panels, lists of variables, annotations. */
function askedBy(dashboard: Dashboard): PlacedQuery[] {
  const lists = (dashboard.templating.list ?? []).flatMap(({ name, query }) => {
    const values = labelValuesOf(query ?? '')
    return values === undefined ? [] : [{ place: `$${name}`, expr: values.selector }]
  })
  const panels = queriesOf(dashboard).map(({ panel, refId, expr }) => ({ place: `${panel.title} / ${refId}`, expr }))
  const notes = (dashboard.annotations.list ?? []).map(({ name, expr = '' }) => ({ place: name, expr }))
  return [...lists, ...panels, ...notes].map((query) => ({ ...query, ...parsed(query.expr) }))
}

/** Names that a selection may stand for; `__name__=~"a|b"` stands for each. */
function seriesNames({ series, matchers }: Selection): string[] {
  if (series !== undefined) return [series]
  return (matchers.find(({ label }) => label === '__name__')?.value ?? '').split('|')
}
function labelsOf(series: string): readonly string[] | undefined {
  const foreign = FOREIGN_SERIES[series] ?? FAILURE_SERIES[series] ?? ALERT_SERIES[series]
  if (foreign) return [...foreign, 'job', 'instance']
  if (recorded.has(series)) return ['job', 'instance', 'cicd_pipeline_name', 'cicd_pipeline_task_name']
  return own.get(series)?.labels
}

/** What a query asks for that does not exist. */
function unknownIn({ selections, labels }: ParsedQuery): string[] {
  const asked = selections.flatMap((selection) =>
    seriesNames(selection).map((series) => ({ series, selection, known: labelsOf(series) })),
  )
  const anywhere = new Set([...asked.flatMap(({ known = [] }) => known), 'le', 'class'])
  return [
    ...asked.flatMap(({ series, known, selection }) =>
      known === undefined
        ? [series]
        : selection.matchers
            .filter(({ label }) => label !== '__name__' && !known.includes(label))
            .map(({ label }) => `${series}{${label}}`),
    ),
    ...labels.filter((label) => !anywhere.has(label)),
  ]
}

/** Totals that are not summed over time, and gauges that are. */
function wronglyAsked({ selections }: ParsedQuery): string[] {
  return selections.flatMap((selection) => {
    const innermost = selection.inside[0] ?? 'nothing'
    return seriesNames(selection)
      .filter((series) => {
        const type = own.get(series)?.type
        if (type === undefined || innermost === 'nothing') return false
        return type === 'gauge'
          ? ['rate', 'increase', 'sum_over_time'].includes(innermost)
          : innermost !== 'sum_over_time'
      })
      .map((series) => `${innermost}(${series})`)
  })
}

/** `query → problems` for all queries of a dashboard that have some. */
const problemsIn = (
  board: Dashboard,
  find: (query: PlacedQuery) => readonly string[],
): Record<string, readonly string[]> =>
  Object.fromEntries(askedBy(board).flatMap((query) => (find(query).length > 0 ? [[query.place, find(query)]] : [])))

describe('the files', () => {
  test('are what the generator makes now', () => {
    const made = dashboardFiles()
    expect(files.map(({ name }) => name)).toEqual([...made.keys()].toSorted())
    const stale = files.filter(({ name, text }) => text !== made.get(name))
    expect(
      stale.map(({ name }) => name),
      'write them anew with: npm run dashboards',
    ).toEqual([])
  })
  test('and the tables of panels in the documentation', () => {
    const page = readFileSync(path.join(PROJECT_ROOT, 'docs/dashboards.md'), 'utf8')
    expect(page === withPanelList(page), 'write them anew with: npm run dashboards').toBe(true)
    expect(() => withPanelList('# Without the marks')).toThrow('has no')
  })
  test.each(files)('$name fits the types of the SDK', ({ dashboard }) => {
    expect(problemsOf(dashboard, 'dashboard', 'Dashboard')).toEqual([])
    for (const { type, options, fieldConfig } of panelsOf(dashboard)) {
      expect(problemsOf(options, type, 'Options')).toEqual([])
      if (type !== 'stat') expect(problemsOf(fieldConfig?.defaults.custom, type, 'FieldConfig')).toEqual([])
    }
  })
  test('the check against the types finds what does not fit', () => {
    const broken = { ...boards[0]!, schemaVersion: '42', gnetID: 'x', graphTooltip: 7 }
    expect(problemsOf(broken, 'dashboard', 'Dashboard').toSorted()).toEqual([
      '$.graphTooltip: 7 is no DashboardCursorSync',
      '$.schemaVersion: not a number',
      '$: gnetID is unknown',
    ])
  })
  test('have fixed uids and their names, are read-only, look at the last day and refresh', () => {
    const names = ['cost', 'fanout', 'overview', 'retries', 'stuck', 'telemetry'].map((name) => `spanwright-${name}`)
    expect(boards.map(({ uid }) => uid)).toEqual(names)
    for (const { name, dashboard } of files)
      expect({ ...dashboard, name }).toMatchObject({
        name: `${dashboard.uid}.json`,
        editable: false,
        time: { from: 'now-24h', to: 'now' },
        refresh: '30s',
        schemaVersion: 42,
        tags: ['spanwright'],
      })
  })
})

describe.each(boards)('queries of $uid', (board) => {
  test('parse', () => {
    expect(problemsIn(board, ({ errors }) => errors)).toEqual({})
  })
  test('ask for series and labels that exist', () => {
    expect(problemsIn(board, unknownIn)).toEqual({})
  })
  test('sum own totals over time and never extrapolate', () => {
    expect(problemsIn(board, wronglyAsked)).toEqual({})
  })
  test('divide only by what is there', () => {
    expect(problemsIn(board, ({ divisors }) => divisors.filter((divisor) => !divisor.includes('> 0')))).toEqual({})
  })
  test('use variables that the dashboard has', () => {
    const known = [...GRAFANA_VARIABLES, ...(board.templating.list ?? []).map(({ name }) => name)]
    const used = ({ expr }: PlacedQuery): string[] => [...expr.matchAll(/\$(\w+)/g)].map((match) => match[1]!)
    expect(problemsIn(board, (query) => used(query).filter((name) => !known.includes(name)))).toEqual({})
  })
  test('of charts look one interval ahead, those of figures and tables over the whole range', () => {
    const wrong = queriesOf(board).filter(({ panel, expr, kind }) => {
      const windows = expr.match(/\[\$__interval\]/g)?.length ?? 0
      const ahead = expr.match(/\[\$__interval\] offset -\$__interval/g)?.length ?? 0
      if (kind === 'instant') return expr.includes('$__interval')
      return expr.includes('$__range') || ahead !== windows || panel.interval !== '15s'
    })
    expect(wrong.map(({ expr }) => expr)).toEqual([])
  })
})

describe('queries', () => {
  test('with a mistake are found', () => {
    expect(parsed('sum(sum_over_time(a[5m])').errors).toHaveLength(1)
    expect(unknownIn(parsed('sum by (nowhere) (sum_over_time(spanwright_attempts_total{pipeline="x"}[5m]))'))).toEqual([
      'spanwright_attempts_total{pipeline}',
      'nowhere',
    ])
    expect(unknownIn(parsed('sum(spanwright_attempt_total)'))).toEqual(['spanwright_attempt_total'])
    expect(wronglyAsked(parsed('sum(increase(spanwright_attempts_total[5m]))'))).toEqual([
      'increase(spanwright_attempts_total)',
    ])
    expect(parsed('sum(a) / sum(b)').divisors).toEqual(['sum(b)'])
  })
  test('of the alerts and idle times count on our rules', () => {
    for (const { alert } of rules) if (alert !== undefined) expect(alert).toMatch(/^Spanwright.+/)
    expect([...recorded]).toEqual(
      expect.arrayContaining(['spanwright:attempt_idle:seconds', 'spanwright:heartbeat_age:seconds']),
    )
  })
})

describe.each(boards)('panels of $uid', (board) => {
  test('have unique ids and fill a grid of 24 columns without overlapping', () => {
    const panels = board.panels ?? []
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } = { x: 0, y: 0, w: 0, h: 0 } }) =>
      Array.from({ length: w * h }, (_, cell) => ({ column: x + (cell % w), line: y + Math.floor(cell / w) })),
    )
    const lines = Math.max(...cells.map(({ line }) => line)) + 1
    expect(cells.filter(({ column }) => column >= 24)).toEqual([])
    expect(new Set(cells.map(({ column, line }) => `${column},${line}`)).size).toBe(cells.length)
    expect(cells.length).toBe(24 * lines)
  })
  test('say what they show and why they may be empty', () => {
    const silent = panelsOf(board).filter(({ type, description = '', fieldConfig }) => {
      const empty = fieldConfig?.defaults.noValue ?? ''
      // A figure writes it in one line as large as its panel allows.
      if (type === 'stat' && empty.length > 28) return true
      return !/^.{30,}\.$/.test(description) || empty.length < 8 || /no data|n\/a/i.test(empty)
    })
    expect(silent.map(({ title }) => title)).toEqual([])
  })
})

test('data comes from the data sources that are provisioned', () => {
  const file = path.join(PROJECT_ROOT, 'dashboards/provisioning/datasources/spanwright.yaml')
  const { datasources } = parse(readFileSync(file, 'utf8')) as { datasources: { type: string; uid: string }[] }
  const known = new Set(datasources.map(({ type, uid }) => `${type} ${uid}`))
  for (const { text } of files)
    for (const match of text.matchAll(/"datasource": \{\s+"type": "([^"]+)",\s+"uid": "([^"]+)"/g))
      expect(known).toContain(`${match[1]} ${match[2]}`)
  expect(known).toContain('jaeger jaeger')
})

describe('links', () => {
  const uids = boards.map(({ uid }) => uid)
  /** Labels of the values of a panel: those that all of its queries keep apart. */
  const labelsKept = (panel: Panel): readonly string[] =>
    queriesOf({ ...boards[0]!, panels: [panel] })
      .map(({ expr }) => parsed(expr).labels)
      .reduce((kept, labels) => kept.filter((label) => labels.includes(label)))

  /** Placeholders of a link for which nothing stands when a value of the panel is clicked. */
  function hanging(board: Dashboard, panel: Panel, url: string): string[] {
    const place = panel.type === 'table' ? '__data.fields.' : '__field.labels.'
    const known = [
      ...['__from', '__to', '__url_time_range'],
      ...(board.templating.list ?? []).map(({ name }) => name),
      ...labelsKept(panel).map((label) => `${place}${label}`),
    ]
    return placeholdersOf(url).filter((name) => !known.includes(name))
  }

  test.each(boards)('of values on $uid lead somewhere', (board) => {
    for (const panel of panelsOf(board))
      for (const { url = '', title } of panel.fieldConfig?.defaults.links ?? []) {
        expect({ title, hanging: hanging(board, panel, url) }).toEqual({ title, hanging: [] })
        const other = /^\/d\/([\w-]+)\?/.exec(url)?.[1]
        if (other !== undefined) expect(uids).toContain(other)
        const panes = /^\/explore\?.*panes=([^&]+)/.exec(url)?.[1]
        if (panes === undefined) continue
        const plain = decodeURIComponent(panes.replaceAll(/\$\{[^}]+\}/g, 'x'))
        expect(JSON.parse(plain)).toMatchObject({ a: { datasource: 'jaeger', queries: [{ queryType: 'search' }] } })
      }
  })
  test('lead from every dashboard but the one about telemetry to spans', () => {
    const without = files.filter(({ text }) => !text.includes('/search?service=${service:percentencode}&operation='))
    expect(without.map(({ name }) => name)).toEqual(['spanwright-telemetry.json'])
  })
  test('on top are shown, not put into a menu', () => {
    for (const { links = [], annotations } of boards) {
      expect(links.map(({ title }) => title)).toEqual(['Spanwright', 'Jaeger'])
      expect(JSON.stringify([links, annotations])).not.toContain('inControlsMenu')
    }
  })
})
