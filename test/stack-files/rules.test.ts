// Alert rules, their unit tests, pages and routes, read as files: nothing is named that does not exist, nothing is left
// without its page or its test. With the real tools: test/stack/rules.test.ts.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { runbooks } from '../../scripts/generate-runbooks.ts'
import { PROJECT_ROOT } from '../support/cli.ts'
import { FAILURE_SERIES, FOREIGN_SERIES } from '../support/foreign-series.ts'
import { prometheusSeries } from '../support/prometheus-names.ts'
import { parsePromql, type Selection } from '../support/promql-names.ts'
import { alertmanagerFiles, alertsIn, groupsIn, type AlertRule, type Rule, type UnitTest } from './alert-files.ts'

const read = (file: string): string => readFileSync(path.join(PROJECT_ROOT, file), 'utf8')
const ruleFiles = readdirSync(path.join(PROJECT_ROOT, 'collector/rules')).filter((name) => name.endsWith('.yml'))
const groups = ruleFiles.flatMap((file) => groupsIn(read(`collector/rules/${file}`)))
const rules: Rule[] = groups.flatMap((group) => [...group.rules])
const alerts: AlertRule[] = alertsIn(groups)
const names = [...new Set(alerts.map(({ alert }) => alert))]
/** SpanwrightAttemptStuck → attempt-stuck. */
const pageOf = (alert: string): string =>
  alert
    .replace(/^Spanwright/, '')
    .replaceAll(/(?!^)[A-Z]/g, '-$&')
    .toLowerCase()

const own = prometheusSeries()
const PIPELINE_AND_NODE = ['cicd_pipeline_name', 'cicd_pipeline_task_name']
/** Of our own recording rules; a threshold has no labels. */
const recorded = new Map(
  rules.flatMap(({ record }): [string, readonly string[]][] =>
    record === undefined
      ? []
      : [[record, record.startsWith('spanwright:threshold:') ? [] : ['job', 'instance', ...PIPELINE_AND_NODE]]],
  ),
)
const foreign: Readonly<Record<string, readonly string[]>> = {
  ...FOREIGN_SERIES,
  ...FAILURE_SERIES,
  prometheus_rule_evaluation_failures_total: ['rule_group'],
}
const labelsOf = (series: string): readonly string[] | undefined =>
  own.get(series)?.labels ?? recorded.get(series) ?? (foreign[series] && [...foreign[series], 'job', 'instance'])

/** A selector by a pattern of names stands for every series that has such a name. */
function seriesOf({ series, matchers }: Selection): string[] {
  if (series !== undefined) return [series]
  const pattern = new RegExp(`^(${matchers.find(({ label }) => label === '__name__')?.value ?? ''})$`)
  return Object.keys(foreign).filter((name) => pattern.test(name))
}

/** What an expression asks for that does not exist. */
function unknownIn(expr: string): string[] {
  const { selections, labels } = parsePromql(expr)
  const known = selections.flatMap((selection) => seriesOf(selection).flatMap((series) => labelsOf(series) ?? []))
  return [
    ...selections.flatMap((selection) => {
      const series = seriesOf(selection)
      if (series.length === 0) return [JSON.stringify(selection.matchers)]
      return series.flatMap((name) => {
        const has = labelsOf(name)
        if (!has) return [name]
        return selection.matchers.flatMap(({ label }) =>
          label === '__name__' || has.includes(label) ? [] : [`${name}{${label}}`],
        )
      })
    }),
    ...labels.filter((label) => !known.includes(label)),
  ]
}

/** Totals are summed over time; gauges are looked back for, so that silence resolves nothing. */
function wronglyAsked(expr: string): string[] {
  const looksBack = ['last_over_time', 'min_over_time', 'predict_linear', 'deriv']
  return parsePromql(expr).selections.flatMap(({ series, inside }) => {
    const type = own.get(series ?? '')?.type
    if (type === undefined) return []
    const innermost = inside[0] ?? 'nothing'
    const right = type === 'gauge' ? looksBack.includes(innermost) : innermost === 'sum_over_time'
    return right ? [] : [`${innermost}(${series})`]
  })
}

describe.each(rules.map((rule) => ({ name: rule.alert ?? rule.record ?? '', expr: rule.expr })))(
  '$name',
  ({ expr }) => {
    test('asks for series and labels that exist, in the way that is exact and stays', () => {
      expect(parsePromql(expr).errors).toEqual([])
      expect(unknownIn(expr)).toEqual([])
      expect(wronglyAsked(expr)).toEqual([])
    })
  },
)

test('mistakes in an expression are seen', () => {
  expect(parsePromql('sum(up').errors).not.toEqual([])
  expect(unknownIn('sum by (node) (last_over_time(spanwright_runs_open{result="x"}[2h]))')).toEqual([
    'spanwright_runs_open{result}',
    'node',
  ])
  expect(unknownIn('spanwright_run_open > spanwright:threshold:nothing')).toHaveLength(2)
  expect(unknownIn('{__name__=~"otelcol_exporter_lost_.*"}')).toHaveLength(1)
  expect(wronglyAsked('increase(spanwright_retries_total[5m])')).toEqual(['increase(spanwright_retries_total)'])
  expect(wronglyAsked('spanwright_runs_open > 0')).toEqual(['nothing(spanwright_runs_open)'])
})

test('no total is asked for without a window, no threshold without being set', () => {
  const used = rules.flatMap(({ expr }) => expr.match(/spanwright:threshold:\w+/g) ?? [])
  const set = [...recorded.keys()].filter((name) => name.startsWith('spanwright:threshold:'))
  expect(new Set(used)).toEqual(new Set(set))
})

describe.each(alerts.map((rule) => ({ ...rule, title: `${rule.alert} (${rule.labels.severity})` })))(
  '$title',
  ({ alert, labels, annotations }) => {
    test('is named, graded and explained', () => {
      expect(alert).toMatch(/^Spanwright([A-Z][a-z]+)+$/)
      expect(['page', 'warning', 'info']).toContain(labels.severity)
      expect(annotations.summary).toMatch(/\.$/)
      expect(annotations.description).toMatch(/\.$/)
      expect(annotations.command).toMatch(/^spanwright /)
      expect(annotations.runbook_url).toBe(`{{ $externalURL }}/user/${pageOf(alert)}.html`)
      expect(Object.keys(annotations).toSorted()).toEqual(['command', 'description', 'runbook_url', 'summary'])
    })
  },
)

test('alerts about work name pipeline and node', () => {
  const aboutWork = groups.filter(({ name }) => ['stuck', 'failures', 'spend'].includes(name))
  const ofRuns = ['SpanwrightHeartbeatLost', 'SpanwrightFailureRatio', 'SpanwrightCostSpike']
  for (const { alert, annotations } of alertsIn(aboutWork)) {
    expect(annotations.summary).toContain('$labels.cicd_pipeline_name')
    if (!ofRuns.includes(alert)) expect(annotations.summary).toContain('$labels.cicd_pipeline_task_name')
  }
})

describe('unit tests', () => {
  const files = readdirSync(path.join(PROJECT_ROOT, 'collector/rules/tests'))
  const cases = files.flatMap((file) => {
    const { tests } = parse(read(`collector/rules/tests/${file}`)) as { tests: UnitTest[] }
    return tests.flatMap(({ alert_rule_test: checks = [] }) => checks)
  })
  test.each(names)('show %s firing and silent', (name) => {
    const ofIt = cases.filter(({ alertname }) => alertname === name)
    expect(ofIt.some(({ exp_alerts: expected }) => expected.length > 0)).toBe(true)
    expect(ofIt.some(({ exp_alerts: expected }) => expected.length === 0)).toBe(true)
  })
  test('are of alerts that exist, in every severity that they have', () => {
    expect(cases.map(({ alertname }) => alertname).filter((name) => !names.includes(name))).toEqual([])
    for (const { alert, labels } of alerts) {
      const graded = cases.filter(({ alertname }) => alertname === alert).flatMap(({ exp_alerts: fired }) => fired)
      expect(graded.map(({ exp_labels: expected }) => expected['severity'])).toContain(labels.severity)
    }
  })
})

describe('pages', () => {
  const SECTIONS = ['What it means', 'Look first', 'Causes', 'What to do', 'When it is wrong']
  test.each(names)('%s has one, with all sections and a command to type', (name) => {
    const text = read(`docs/alerts/${pageOf(name)}.md`)
    expect(text).toMatch(new RegExp(`^# ${name}\n`))
    expect([...text.matchAll(/^## (.+)$/gm)].map((match) => match[1])).toEqual(SECTIONS)
    expect(text.split('## Causes')[0]?.split('## Look first')[1]).toMatch(/```sh\n(spanwright|curl) /)
    for (const { labels, alert } of alerts) if (alert === name) expect(text).toContain(`\`${labels.severity}\``)
  })
  test('are of alerts that exist, and all in the index', () => {
    const index = read('docs/alerts/README.md')
    const pages = readdirSync(path.join(PROJECT_ROOT, 'docs/alerts')).filter((name) => name !== 'README.md')
    expect(pages.toSorted()).toEqual(names.map((name) => `${pageOf(name)}.md`).toSorted())
    const rows = [...index.matchAll(/^\| `(\w+)` \| (\w+) \|.*\[([\w-]+)\]\(\3\.md\) \|$/gm)]
    expect(rows.map(([, name, severity]) => `${name} ${severity}`).toSorted()).toEqual(
      alerts.map(({ alert, labels }) => `${alert} ${labels.severity}`).toSorted(),
    )
  })
  test('name thresholds and files that exist', () => {
    for (const file of readdirSync(path.join(PROJECT_ROOT, 'docs/alerts'))) {
      const text = read(`docs/alerts/${file}`)
      for (const [threshold] of text.matchAll(/spanwright:[\w:]+\w/g)) expect([...recorded.keys()]).toContain(threshold)
      for (const [, named] of text.matchAll(/`((?:collector|scripts|docs)\/[\w./-]+)`/g))
        expect(existsSync(path.join(PROJECT_ROOT, named!)), `${file}: ${named}`).toBe(true)
    }
  })
  test('are served as they are written', () => {
    const made = runbooks()
    const stale = [...made].filter(([name, html]) => {
      const file = path.join(PROJECT_ROOT, 'collector/runbooks', name)
      return !existsSync(file) || readFileSync(file, 'utf8') !== html
    })
    expect(
      stale.map(([name]) => name),
      'write them anew with: node scripts/generate-runbooks.ts',
    ).toEqual([])
    expect(readdirSync(path.join(PROJECT_ROOT, 'collector/runbooks')).toSorted()).toEqual([...made.keys()])
  })
})

describe('Alertmanager', () => {
  const files = alertmanagerFiles()
  const shipped = files.get('alertmanager.yml')!
  test('as shipped tells nobody and needs nothing', () => {
    expect(shipped.receivers).toEqual([{ name: 'page' }, { name: 'warning' }, { name: 'info' }])
  })
  test.each([...files].filter(([, file]) => file !== shipped))(
    '%s has the same routes, and its secrets in files',
    (name, file) => {
      expect({ route: file.route, inhibit_rules: file.inhibit_rules }).toEqual({
        route: shipped.route,
        inhibit_rules: shipped.inhibit_rules,
      })
      const text = read(`collector/alertmanager/${name}`)
      const secrets = [...text.matchAll(/(\w+): (\/etc\/alertmanager\/secrets\/\w+)$/gm)]
      expect(secrets.length).toBeGreaterThan(0)
      for (const [, key, secret] of secrets) {
        expect(key).toMatch(/_file$/)
        expect(text).toContain(secret!.replace('/etc/alertmanager', 'collector'))
      }
      expect(text).not.toMatch(/^\s*(- )?(api_url|slack_api_url|url|smtp_auth_password|password|token): /m)
    },
  )
  test('holds back only alerts that exist', () => {
    const named = shipped.inhibit_rules
      .flatMap(({ source_matchers: source, target_matchers: target }) => [...source, ...target])
      .flatMap((matcher) => /"(.+)"/.exec(matcher)?.[1]?.split('|') ?? [])
    expect(named.filter((name) => !names.includes(name))).toEqual([])
  })
})

test('a stuck attempt is told within 30 s: push, collector, evaluation, for, group_wait', () => {
  const seconds = (text: string | undefined): number => Number(/^(\d+)s$/.exec(text ?? '')?.[1])
  const stuck = groups.find(({ name }) => name === 'stuck')
  const waits = alertsIn(stuck ? [stuck] : []).filter(({ alert }) => alert === 'SpanwrightAttemptStuck')
  const { route } = alertmanagerFiles().get('alertmanager.yml')!
  for (const { for: waiting } of waits) {
    const sum = 10 + 1 + seconds(stuck?.interval) + seconds(waiting) + seconds(route.group_wait)
    expect(sum).toBeLessThanOrEqual(27)
    // One push that still shows an attempt that the runner has ended must not be enough.
    expect(seconds(waiting)).toBeGreaterThan(10 + 1)
  }
  expect(waits).toHaveLength(2)
})
