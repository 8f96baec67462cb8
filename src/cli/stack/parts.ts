// Owns: what the stack consists of: its parts in the order in which they are shown, their names in compose and in the
// environment, and how each says that it is ready. Asks nothing itself (probe.ts).

/** What a part's answer has to look like, so that another program on its port is not taken for it. */
export interface Readiness {
  readonly path: string
  /** Sent with POST as JSON; without it the request is a GET. */
  readonly body?: string
  /** Of a 200. */
  readonly answers: (text: string, json: unknown) => boolean
}

export interface Part {
  readonly id: PartId
  /** As people know it. */
  readonly name: string
  /** Of docker-compose.yml. */
  readonly service: string
  /** Of .env, with the value it has there. */
  readonly portVariable: string
  readonly port: number
  readonly readiness: Readiness
}

const PART_IDS = ['otlp', 'collector', 'jaeger', 'prometheus', 'alertmanager', 'grafana', 'loki'] as const
export type PartId = (typeof PART_IDS)[number]

const fields = (json: unknown): Record<string, unknown> =>
  typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as Record<string, unknown>) : {}

export const PARTS: readonly Part[] = [
  {
    id: 'otlp',
    name: 'OTLP',
    service: 'otel-collector',
    portVariable: 'OTLP_HTTP_PORT',
    port: 4318,
    // An export of nothing: it passes the receiver and what limits it, and leaves no trace.
    readiness: {
      path: '/v1/traces',
      body: '{"resourceSpans":[]}',
      answers: (_text, json) => typeof json === 'object' && json !== null,
    },
  },
  {
    id: 'collector',
    name: 'Collector',
    service: 'otel-collector',
    portVariable: 'COLLECTOR_HEALTH_PORT',
    port: 13133,
    readiness: { path: '/', answers: (_text, json) => typeof fields(json)['status'] === 'string' },
  },
  {
    id: 'jaeger',
    name: 'Jaeger',
    service: 'jaeger',
    portVariable: 'JAEGER_PORT',
    port: 16686,
    // Not its page but a question to its storage.
    readiness: { path: '/api/services', answers: (_text, json) => 'data' in fields(json) },
  },
  {
    id: 'prometheus',
    name: 'Prometheus',
    service: 'prometheus',
    portVariable: 'PROMETHEUS_PORT',
    port: 9090,
    readiness: { path: '/-/ready', answers: (text) => text.includes('Prometheus') },
  },
  {
    id: 'alertmanager',
    name: 'Alertmanager',
    service: 'alertmanager',
    portVariable: 'ALERTMANAGER_PORT',
    port: 9093,
    readiness: { path: '/api/v2/status', answers: (_text, json) => 'versionInfo' in fields(json) },
  },
  {
    id: 'grafana',
    name: 'Grafana',
    service: 'grafana',
    portVariable: 'GRAFANA_PORT',
    port: 3000,
    readiness: { path: '/api/health', answers: (_text, json) => fields(json)['database'] === 'ok' },
  },
  {
    id: 'loki',
    name: 'Loki',
    service: 'loki',
    portVariable: 'LOKI_PORT',
    port: 3100,
    readiness: { path: '/ready', answers: (text) => text.trim() === 'ready' },
  },
]

export const partOf = (id: PartId): Part => PARTS.find((part) => part.id === id)!

/** Variable with the address of a part of a stack that is elsewhere. */
export const urlVariable = (id: PartId): string => `SPANWRIGHT_STACK_${id.toUpperCase()}_URL`
