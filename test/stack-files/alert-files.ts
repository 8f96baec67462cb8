// Owns: reading the files of the alerts: rules, their unit tests, Alertmanager's configurations.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'
import { PROJECT_ROOT } from '../support/cli.ts'

export interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
}
export interface AlertRule extends Rule {
  readonly alert: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: {
    readonly summary: string
    readonly description: string
    readonly command: string
    readonly runbook_url: string
  }
}
export interface RuleGroup {
  readonly name: string
  readonly interval: string
  readonly rules: readonly Rule[]
}
/** As promtool reads it. */
export interface UnitTest {
  readonly alert_rule_test?: readonly {
    readonly alertname: string
    readonly exp_alerts: readonly { readonly exp_labels: Readonly<Record<string, string>> }[]
  }[]
}
export interface AlertmanagerFile {
  readonly route: { readonly group_wait: string }
  readonly inhibit_rules: readonly { readonly source_matchers: string[]; readonly target_matchers: string[] }[]
  readonly receivers: readonly { readonly name: string }[]
}

export const groupsIn = (text: string): readonly RuleGroup[] => (parse(text) as { groups: RuleGroup[] }).groups

export const alertsIn = (groups: readonly RuleGroup[]): AlertRule[] =>
  groups.flatMap(({ rules }) => rules.filter((rule): rule is AlertRule => rule.alert !== undefined))

/** `alertmanager.yml`, then `examples/…`. */
export function alertmanagerFiles(): ReadonlyMap<string, AlertmanagerFile> {
  const collector = path.join(PROJECT_ROOT, 'collector')
  const read = (file: string): AlertmanagerFile =>
    parse(readFileSync(path.join(collector, file), 'utf8')) as AlertmanagerFile
  const examples = readdirSync(path.join(collector, 'alertmanager/examples'))
  return new Map([
    ['alertmanager.yml', read('alertmanager.yml')],
    ...examples.map((name): [string, AlertmanagerFile] => [`examples/${name}`, read(`alertmanager/examples/${name}`)]),
  ])
}
