// Owns: from a part that does not answer to why and what to do, with what docker knows of it where there is a docker.
import { portOf } from './addresses.ts'
import type { StackSettings } from './compose-file.ts'
import { containers, obstacleOf, portHolder, type Container } from './containers.ts'
import { composeCommand, type ComposeCall } from './docker.ts'
import type { PartReport } from './probe.ts'

export interface Explained extends PartReport {
  /** The end of its container's log. */
  readonly log: readonly string[]
  /** A command or a setting; none where there is nothing to say but wait. */
  readonly advice?: string
}

export interface LocalStack {
  readonly call: ComposeCall
  readonly settings: StackSettings
}

/** The reports with container state, log and advice added. `local`: the stack of a compose file on this machine. */
export async function explainAll(
  reports: readonly PartReport[],
  local: LocalStack | undefined,
): Promise<readonly Explained[]> {
  const bare = reports.map((report) => ({ ...report, log: [] }))
  if (!local || reports.every(({ state }) => state === 'up')) return bare
  const known = await containers(local.call)
  if (!known) return bare
  // None of them: the stack is not started, and what answers belongs to somebody else.
  if (known.length === 0) {
    const advice = 'start it: spanwright stack up'
    return await Promise.all(
      bare.map(async (report) => (report.state === 'up' ? report : { advice, ...(await withHolder(report, local)) })),
    )
  }
  return await Promise.all(
    bare.map(async (report) => (report.state === 'up' ? report : await explain(report, local, known))),
  )
}

async function explain(report: Explained, local: LocalStack, known: readonly Container[]): Promise<Explained> {
  const { service } = report.part
  const obstacle = await obstacleOf(local.call, service, known)
  if (!obstacle) return { ...report, advice: composeCommand(local.call.file, 'logs', '--tail', '50', service) }
  // Whoever waits for the volumes never starts without them.
  const owners = service === 'volume-owners' ? undefined : await obstacleOfOwners(local.call, known)
  const withPort = obstacle.log.length === 0 ? await withHolder(report, local) : report
  const reason = [withPort.reason, obstacle.reason, owners].filter((text) => text !== undefined).join('; ')
  const advice = withPort.advice ?? composeCommand(local.call.file, 'logs', '--tail', '50', service)
  return { ...report, reason, log: obstacle.log, advice }
}

async function obstacleOfOwners(call: ComposeCall, known: readonly Container[]): Promise<string | undefined> {
  const owners = known.find(({ service }) => service === 'volume-owners')
  if (!owners || (owners.state === 'exited' && owners.exitCode === 0)) return undefined
  const { log } = (await obstacleOf(call, 'volume-owners', known)) ?? { log: [] }
  return `volume-owners, which gives it its volume, is ${owners.state} with exit code ${owners.exitCode}${log.length > 0 ? `: ${log.at(-1)}` : ''}`
}

/** With who has its port, if somebody else has it. */
async function withHolder(report: Explained, { settings }: LocalStack): Promise<Explained> {
  const port = portOf(report.part, settings)
  const holder = await portHolder(port)
  if (holder === undefined) return report
  const reason = `${report.reason ?? ''}; port ${port} is taken by ${holder}`
  return { ...report, reason, advice: `free the port, or set ${report.part.portVariable} to another one` }
}
