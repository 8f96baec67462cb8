// Owns: the series of other programs that dashboards may ask for, with their labels, at the versions in .env. The
// dashboards' test on real servers confirms each of them.

/** Scraped from the collector; the counters of failures exist only after the first one. */
const COLLECTOR: Readonly<Record<string, readonly string[]>> = {
  otelcol_exporter_queue_size: ['exporter', 'data_type'],
  otelcol_exporter_queue_capacity: ['exporter', 'data_type'],
  otelcol_receiver_accepted_spans: ['receiver', 'transport'],
  otelcol_receiver_accepted_metric_points: ['receiver', 'transport'],
  otelcol_receiver_refused_spans: ['receiver', 'transport'],
  otelcol_receiver_refused_metric_points: ['receiver', 'transport'],
  otelcol_exporter_sent_spans: ['exporter'],
  otelcol_exporter_sent_metric_points: ['exporter'],
  otelcol_exporter_send_failed_metric_points: ['exporter'],
}
const PROMETHEUS: Readonly<Record<string, readonly string[]>> = {
  prometheus_tsdb_too_old_samples_total: ['type'],
  prometheus_tsdb_head_out_of_order_samples_appended_total: ['type'],
  prometheus_http_requests_total: ['handler', 'code'],
  up: [],
}

/** Series that every stack has after one run and one sample that came too late. */
export const FOREIGN_SERIES: Readonly<Record<string, readonly string[]>> = { ...COLLECTOR, ...PROMETHEUS }

/** Counters of failures that a healthy stack does not have; their names follow those above. */
export const FAILURE_SERIES: Readonly<Record<string, readonly string[]>> = {
  otelcol_receiver_refused_log_records: ['receiver', 'transport'],
  otelcol_exporter_send_failed_spans: ['exporter'],
  otelcol_exporter_send_failed_log_records: ['exporter'],
  otelcol_exporter_enqueue_failed_spans: ['exporter'],
  otelcol_exporter_enqueue_failed_metric_points: ['exporter'],
  otelcol_exporter_enqueue_failed_log_records: ['exporter'],
}

/** Made by Prometheus from the rules. */
export const ALERT_SERIES: Readonly<Record<string, readonly string[]>> = {
  ALERTS: ['alertname', 'alertstate', 'severity', 'cicd_pipeline_name', 'cicd_pipeline_task_name'],
  ALERTS_FOR_STATE: ['alertname', 'severity', 'cicd_pipeline_name', 'cicd_pipeline_task_name'],
}
