// Owns: `stack status`: whether each part of the observability stack answers and why not, how full its queues are, what
// was lost, which alerts fire. Asks over HTTP, so it works for a stack without docker, and for one elsewhere.
import type { CommandFunction, Invocation } from '../command-table.ts'
import { statusAddresses, type Addresses } from '../stack/addresses.ts'
import { composeFileIfAny, stackSettings, type StackSettings } from '../stack/compose-file.ts'
import { explainAll, type Explained } from '../stack/explain.ts'
import { NO_FIGURES, readFigures, type Figures } from '../stack/figures.ts'
import type { PartId } from '../stack/parts.ts'
import { probeAll } from '../stack/probe.ts'
import { fillOf, renderFigures, renderNoFigures, renderParts } from '../stack/render.ts'

export const stackStatus: CommandFunction = async ({ options, output }) => {
  const file = composeFileIfAny(textOf(options, 'file'))
  const settings = stackSettings(file)
  const addresses = statusAddresses((id) => textOf(options, id), settings)
  const [explained, figures] = await Promise.all([explainedParts(addresses, file, settings), figuresOf(addresses)])
  const up = explained.every(({ state }) => state === 'up')
  if (options['json'] === true) output.json({ up, ...partsJson(explained), ...figuresJson(figures) })
  else {
    const { look } = output
    const known = explained.some(({ part, state }) => part.id === 'prometheus' && state === 'up')
    output.result(
      ...renderParts(explained, look),
      '',
      ...(known ? renderFigures(figures, look) : [renderNoFigures(look)]),
    )
    if (addresses.local && explained.every(({ state }) => state === 'down'))
      output.say(
        'No stack runs on this machine. Start it: spanwright stack up. One that runs elsewhere: spanwright stack status --help',
      )
  }
  return up ? 0 : 1
}

const textOf = (options: Invocation['options'], name: PartId | 'file'): string | undefined => {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

async function explainedParts(
  { list, local }: Addresses,
  file: string | undefined,
  settings: StackSettings,
): Promise<readonly Explained[]> {
  const reports = await probeAll(list)
  return await explainAll(reports, local && file !== undefined ? { call: { file }, settings } : undefined)
}

async function figuresOf({ list }: Addresses): Promise<Figures> {
  const prometheus = list.find(({ part }) => part.id === 'prometheus')
  return prometheus ? await readFigures(prometheus.url) : NO_FIGURES
}

const partsJson = (reports: readonly Explained[]): object => ({
  parts: reports.map(({ part, url, state, reason, log, advice }) => ({
    part: part.id,
    state,
    reason: reason ?? null,
    url,
    log,
    advice: advice ?? null,
  })),
})

const figuresJson = ({ queues, refused, undelivered, alerts, prometheusBytes }: Figures): object => ({
  queues: queues?.map((queue) => ({ ...queue, fill: Math.round(fillOf(queue) * 10_000) / 10_000 })) ?? null,
  refused_last_hour: refused ?? null,
  undelivered_last_hour: undelivered ?? null,
  firing: alerts?.reduce((sum, { count }) => sum + count, 0) ?? null,
  alerts: alerts ?? null,
  prometheus_bytes: prometheusBytes ?? null,
})
