// Owns: a receiver of Alertmanager's webhook and the configuration that sends to it, made of the shipped example; and what
// was told, in order.
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { PROJECT_ROOT, temporaryDirectory } from '../../support/cli.ts'
import { until, type Deadline } from './until.ts'

/** One alert of one message. */
export interface Told {
  readonly atMs: number
  readonly status: 'firing' | 'resolved'
  readonly name: string
  readonly pipeline: string | undefined
  readonly node: string | undefined
  readonly severity: string
  readonly annotations: Readonly<Record<string, string>>
}
export interface Wanted {
  readonly name: string
  readonly pipeline?: string
  readonly status?: Told['status']
}
export interface Webhook {
  /** A file for Alertmanager: collector/alertmanager/examples/webhook.yml with this receiver's address as its secret. */
  readonly alertmanagerConfig: string
  readonly told: (wanted?: Partial<Wanted>) => Told[]
  readonly untilTold: (wanted: Wanted, deadline?: Deadline) => Promise<Told>
  readonly close: () => void
}

interface Message {
  readonly alerts: readonly {
    readonly status: Told['status']
    readonly labels: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
  }[]
}

export async function startWebhook(): Promise<Webhook> {
  const all: Told[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      const atMs = Date.now()
      const { alerts } = JSON.parse(body) as Message
      all.push(
        ...alerts.map(({ status, labels, annotations }) => ({
          atMs,
          status,
          name: labels['alertname'] ?? '',
          pipeline: labels['cicd_pipeline_name'],
          node: labels['cicd_pipeline_task_name'],
          severity: labels['severity'] ?? '',
          annotations,
        })),
      )
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const told = ({ name, pipeline, status }: Partial<Wanted> = {}): Told[] =>
    all.filter(
      (one) =>
        (name === undefined || one.name === name) &&
        (pipeline === undefined || one.pipeline === pipeline) &&
        (status === undefined || one.status === status),
    )
  return {
    alertmanagerConfig: configuration(`http://127.0.0.1:${port}/`),
    told,
    async untilTold(wanted, deadline) {
      const found = await until(
        JSON.stringify(wanted),
        () => Promise.resolve(told(wanted).length > 0 ? told(wanted) : all),
        () => told(wanted).length > 0,
        deadline,
      )
      return found[0]!
    },
    close: () => void server.close(),
  }
}

function configuration(url: string): string {
  const directory = temporaryDirectory()
  const secret = path.join(directory, 'webhook_url')
  writeFileSync(secret, url)
  const example = readFileSync(path.join(PROJECT_ROOT, 'collector/alertmanager/examples/webhook.yml'), 'utf8')
  const file = path.join(directory, 'alertmanager.yml')
  writeFileSync(file, example.replaceAll('/etc/alertmanager/secrets/webhook_url', secret))
  return file
}
