// What our metrics are called in Prometheus, as its OTLP receiver names them.
import { expect, test } from 'vitest'
import { prometheusName } from '../../scripts/registry/prometheus-name.ts'
import { prometheusSeries } from '../support/prometheus-names.ts'

test('names get suffixes of unit and instrument, annotations leave nothing', () => {
  expect(prometheusName({ name: 'a.b_c', unit: 's', instrument: 'histogram' })).toBe('a_b_c_seconds')
  expect(prometheusName({ name: 'a.b', unit: '{USD}', instrument: 'counter' })).toBe('a_b_total')
  expect(prometheusName({ name: 'a.b', unit: '1', instrument: 'gauge' })).toBe('a_b_ratio')
  expect(prometheusName({ name: 'a.used_ratio', unit: '1', instrument: 'gauge' })).toBe('a_used_ratio')
  expect(prometheusName({ name: 'a.time', unit: 's', instrument: 'gauge' })).toBe('a_time_seconds')
})

test('every series of ours, with its labels', () => {
  const series = prometheusSeries()
  expect(series.get('spanwright_attempt_duration_seconds_bucket')).toEqual({
    type: 'histogram',
    labels: [
      'cicd_pipeline_name',
      'cicd_pipeline_task_name',
      'cicd_pipeline_task_run_result',
      'error_type',
      'instance',
      'job',
      'le',
      'spanwright_attempt_number',
      'spanwright_node_kind',
    ],
  })
  expect(series.get('spanwright_cost_total')?.type).toBe('counter')
  expect(series.get('spanwright_heartbeat_time_seconds')?.labels).toEqual(['instance', 'job'])
  expect(series.get('spanwright_budget_used_ratio')?.type).toBe('gauge')
  expect(series.has('spanwright_attempt_duration_seconds')).toBe(false)
})
