// Owns: the rows of the command table for `stack`. Must not: do anything.
import type { CommandSpec, OptionSpec } from '../command-table.ts'

const COMPOSE_FILE: OptionSpec = {
  flags: '--file <file>',
  about: 'the docker-compose.yml of the stack (default: the one that comes with spanwright)',
  complete: 'file',
}
const STACK_URLS: readonly OptionSpec[] = [
  ['otlp', 'the OTLP/HTTP endpoint'],
  ['collector', "the collector's health check"],
  ['jaeger', 'Jaeger'],
  ['prometheus', 'Prometheus'],
  ['alertmanager', 'Alertmanager'],
  ['grafana', 'Grafana'],
  ['loki', 'Loki'],
].map(([part, what], index) => ({
  flags: `--${part} <url>`,
  about: `where ${what} is (SPANWRIGHT_STACK_${part!.toUpperCase()}_URL)${index === 0 ? '; with one address given, only those given are asked' : ''}`,
}))

export const STACK_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'stack up',
    about: 'start collector, Jaeger, Prometheus, Alertmanager and Grafana (docker)',
    options: [
      { flags: '--loki', about: 'also Loki, for log records' },
      { flags: '--timeout <duration>', about: 'how long it may take until every part answers (default: 120s)' },
      COMPOSE_FILE,
    ],
    load: async () => (await import('../commands/stack-up.ts')).stackUp,
  },
  {
    name: 'stack status',
    about: 'which part of the stack does not work, and why',
    options: [...STACK_URLS, COMPOSE_FILE, { flags: '--json', about: 'print stable JSON' }],
    load: async () => (await import('../commands/stack-status.ts')).stackStatus,
  },
  {
    name: 'stack down',
    about: 'stop the stack',
    options: [{ flags: '--volumes', about: 'also delete its data: traces, samples, queues' }, COMPOSE_FILE],
    load: async () => (await import('../commands/stack-down.ts')).stackDown,
  },
]
