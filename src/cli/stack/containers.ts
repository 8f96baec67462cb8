// Owns: what docker says about a part that does not answer: the state of its container, its exit code, the end of its log,
// and who has its port when it was never started. Best effort: without docker there is nothing to add.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { cleanLine } from '../terminal/text.ts'
import { ask, askCompose, lastLine, PROJECT, type ComposeCall } from './docker.ts'
import { parseJson } from './probe.ts'

const LOG_LINES = 5
const LOG_CHARS = 300

export interface Container {
  readonly service: string
  /** `created running restarting exited dead paused` */
  readonly state: string
  readonly exitCode: number
  /** `healthy unhealthy starting`, empty without a health check. */
  readonly health: string
}

/** Every container of the stack, ended ones too; undefined when docker does not answer. */
export async function containers(call: ComposeCall): Promise<readonly Container[] | undefined> {
  const { code, stdout } = await askCompose(call, ['ps', '--all', '--format', 'json'])
  if (code !== 0) return undefined
  return containersOf(stdout)
}

/** One JSON object a line; before compose 2.21 one list. */
function containersOf(text: string): Container[] {
  const whole = parseJson(text)
  const list = Array.isArray(whole) ? (whole as unknown[]) : text.split('\n').map((line) => parseJson(line))
  return list.flatMap((entry) => {
    if (typeof entry !== 'object' || entry === null) return []
    const { Service, State, ExitCode, Health } = entry as Record<string, unknown>
    if (typeof Service !== 'string' || typeof State !== 'string') return []
    return [
      {
        service: Service,
        state: State,
        exitCode: Number(ExitCode ?? 0),
        health: typeof Health === 'string' ? Health : '',
      },
    ]
  })
}

/** What stands in the way of a service, as a sentence and the lines that prove it. */
export interface Obstacle {
  readonly reason: string
  readonly log: readonly string[]
}

/** Why the container of `service` does not answer; undefined when it looks as it should. */
export async function obstacleOf(
  call: ComposeCall,
  service: string,
  known: readonly Container[],
): Promise<Obstacle | undefined> {
  const container = known.find((entry) => entry.service === service)
  if (!container) return { reason: 'it has no container', log: [] }
  const { state, exitCode, health } = container
  if (state === 'running' && health !== 'unhealthy') return undefined
  const how =
    state === 'exited' || state === 'dead'
      ? `its container ended with exit code ${exitCode}${exitCode === 137 ? ' (killed, perhaps out of memory)' : ''}`
      : state === 'restarting'
        ? `its container ends and is started again (exit code ${exitCode})`
        : state === 'running'
          ? 'its container runs and its health check fails'
          : `its container is ${state} and was not started`
  return { reason: how, log: state === 'created' ? [] : await logOf(call, service) }
}

async function logOf(call: ComposeCall, service: string): Promise<string[]> {
  const words = ['logs', '--no-color', '--no-log-prefix', '--tail', String(LOG_LINES), service]
  const { stdout, stderr } = await askCompose(call, words)
  return `${stdout}\n${stderr}`
    .split('\n')
    .map((line) => cleanLine(line).slice(0, LOG_CHARS))
    .filter((line) => line !== '')
    .slice(-LOG_LINES)
}

/** Who listens on a port of this machine, as far as this user may see; undefined when nobody can be named. */
export async function portHolder(port: number): Promise<string | undefined> {
  const { code, stdout } = await ask(['ps', '--filter', `publish=${port}`, '--format', '{{.Names}}'])
  const name = code === 0 ? lastLine(stdout) : undefined
  if (name !== undefined && !name.startsWith(`${PROJECT}-`)) return `container ${cleanLine(name)}`
  const pid = listenerOf(port)
  return pid === undefined ? undefined : `process ${pid.pid} (${cleanLine(pid.name)})`
}

/** Linux: the socket in /proc/net/tcp, and the process that holds it. */
function listenerOf(port: number): { readonly pid: number; readonly name: string } | undefined {
  try {
    const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => listeningInodes(file, port)))
    if (inodes.size === 0) return undefined
    for (const entry of readdirSync('/proc')) {
      if (/^\d+$/.test(entry) && holdsSocket(entry, inodes))
        return { pid: Number(entry), name: readFileSync(`/proc/${entry}/comm`, 'utf8').trim() }
    }
  } catch {
    // Not Linux, or the process went away meanwhile.
  }
  return undefined
}

const LISTEN = '0A'
function listeningInodes(file: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix) === true && columns[3] === LISTEN)
    .map((columns) => columns[9] ?? '')
}

function holdsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((descriptor) => {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1]
      return inode !== undefined && inodes.has(inode)
    })
  } catch {
    return false // Another user's, or gone.
  }
}
