// Owns: what must hold of docker-compose.yml, as functions from the file (and what it stands beside) to problems. Each rule
// is a property that a person would check before starting somebody else's compose file.
import { parse } from 'yaml'

export interface Service {
  readonly image?: string
  readonly user?: string
  readonly command?: unknown
  readonly profiles?: readonly string[]
  readonly restart?: string
  readonly read_only?: boolean
  readonly network_mode?: string
  readonly privileged?: boolean
  readonly cap_drop?: readonly string[]
  readonly cap_add?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly stop_grace_period?: string
  readonly healthcheck?: { readonly test?: readonly string[]; readonly interval?: string }
  readonly logging?: { readonly driver?: string; readonly options?: Readonly<Record<string, string>> }
  readonly environment?: readonly string[] | Readonly<Record<string, string>>
  readonly deploy?: { readonly resources?: { readonly limits?: Readonly<Record<string, string | number>> } }
  readonly ports?: readonly unknown[]
  readonly volumes?: readonly (string | Mount)[]
}
interface Mount {
  readonly type?: string
  readonly source: string
  readonly target: string
  readonly read_only?: boolean
  readonly bind?: { readonly create_host_path?: boolean }
}
export interface ComposeFile {
  readonly name?: string
  readonly version?: string
  readonly services: Readonly<Record<string, Service>>
  readonly volumes?: Readonly<Record<string, unknown>>
}

export const readCompose = (text: string): ComposeFile => parse(text, { merge: true }) as ComposeFile

/** Images without a shell or any program that could ask for health: they are asked from outside. */
const WITHOUT_PROGRAMS = ['otel-collector', 'loki']
/** Runs once, as root, without a network, to give volumes to their owners. */
const ONE_SHOT = 'volume-owners'

const servers = (file: ComposeFile): [string, Service][] =>
  Object.entries(file.services).filter(([name]) => name !== ONE_SHOT)
const from = (service: string, problem: string | false | undefined): string[] =>
  problem === false || problem === undefined ? [] : [`${service}: ${problem}`]

/** Every published port is bound to loopback and comes from `.env` with the same default. */
export function publishedPorts(file: ComposeFile, env: Readonly<Record<string, string>>): string[] {
  return Object.entries(file.services).flatMap(([name, { ports = [], network_mode }]) => [
    ...from(name, network_mode === 'host' && 'is on the network of the host'),
    ...ports.flatMap((port) => {
      const match = /^127\.0\.0\.1:\$\{(\w+):-(\d+)\}:(\d+)$/.exec(String(port))
      if (!match) return [`${name}: ${JSON.stringify(port)} is not 127.0.0.1:\${NAME:-port}:port`]
      const [, variable, fallback, inside] = match
      return [
        ...from(name, env[variable!] !== fallback && `${variable} is ${env[variable!]} in .env and ${fallback} here`),
        ...from(name, fallback !== inside && `default ${fallback} leads to ${inside} inside`),
      ]
    }),
  ])
}

/** Every image has its version from `.env`, a whole one. */
export function images(file: ComposeFile, env: Readonly<Record<string, string>>): string[] {
  return Object.entries(file.services).flatMap(([name, { image = '' }]) => {
    const version = /^[\w./-]+:\$\{(\w+_VERSION):\?[^}]+\}$/.exec(image)?.[1]
    if (version === undefined) return [`${name}: the version of ${image} does not come from .env`]
    return from(name, !/^v?\d+\.\d+\.\d+$/.test(env[version] ?? '') && `${version}=${env[version]} is not one version`)
  })
}

/** Nothing can do more than it has to. */
export function contained(file: ComposeFile): string[] {
  const rules = (service: Service): (string | false)[] => [
    !/^[1-9]\d*:\d+$/.test(service.user ?? '') && `user ${service.user} is root, a name, or not said`,
    service.privileged === true && 'is privileged',
    (service.cap_add ?? []).length > 0 && 'has added capabilities',
    service.restart !== 'unless-stopped' && `restart is ${service.restart}`,
    service.stop_grace_period === undefined && 'has no stop_grace_period',
  ]
  const all = (service: Service): (string | false)[] => [
    service.cap_drop?.includes('ALL') !== true && 'keeps capabilities',
    service.security_opt?.includes('no-new-privileges:true') !== true && 'may gain privileges',
    ...['memory', 'cpus', 'pids'].map(
      (limit) => service.deploy?.resources?.limits?.[limit] === undefined && `has no limit of ${limit}`,
    ),
    Number(service.deploy?.resources?.limits?.['cpus'] ?? 0) > 1 && 'does not start on a machine with one core',
    (service.logging?.options?.['max-size'] === undefined || service.logging.options['max-file'] === undefined) &&
      'its log grows without end',
  ]
  const owner = file.services[ONE_SHOT]
  return [
    ...servers(file).flatMap(([name, service]) => rules(service).flatMap((problem) => from(name, problem))),
    ...Object.entries(file.services).flatMap(([name, service]) =>
      all(service).flatMap((problem) => from(name, problem)),
    ),
    ...from(ONE_SHOT, owner && owner.cap_add?.join() !== 'CHOWN' && 'has more than CHOWN'),
    ...from(ONE_SHOT, owner && owner.network_mode !== 'none' && 'has a network'),
    ...from(ONE_SHOT, owner && owner.restart !== 'no' && 'is started again'),
  ]
}

/** The Go runtime is told to stay below the limit of its container. */
export function memory(file: ComposeFile): string[] {
  return servers(file).flatMap(([name, { environment, deploy }]) => {
    if (name === 'grafana') return []
    const told = Array.isArray(environment)
      ? undefined
      : (environment as Record<string, string> | undefined)?.['GOMEMLIMIT']
    const limit = mebibytes(String(deploy?.resources?.limits?.['memory'] ?? ''))
    const share = mebibytes((told ?? '').replace(/iB$/, '')) / limit
    return from(name, !(share >= 0.7 && share <= 0.9) && `GOMEMLIMIT ${told} is not 70 to 90 % of its ${limit} MiB`)
  })
}
const mebibytes = (text: string): number => {
  const match = /^(\d+)([MG])$/.exec(text)
  return match ? Number(match[1]) * (match[2] === 'G' ? 1024 : 1) : Number.NaN
}

/** Who can be asked inside its container is asked, and from within its own loopback. */
export function health(file: ComposeFile): string[] {
  return servers(file).flatMap(([name, { healthcheck }]) => {
    const { test: words = [] } = healthcheck ?? {}
    if (WITHOUT_PROGRAMS.includes(name))
      return from(name, healthcheck !== undefined && 'its image has nothing to ask with')
    const command = words.join(' ')
    return [
      ...from(name, words[0] !== 'CMD' && 'has no health check without a shell'),
      ...from(name, /https?:\/\/(?!127\.0\.0\.1:)/.test(command) && `asks elsewhere: ${command}`),
      ...from(name, healthcheck?.interval === undefined && 'its health check has no interval'),
    ]
  })
}

interface Beside {
  /** Whether a path (from the repository's root) is in the repository. */
  readonly exists: (file: string) => boolean
}

/** Configuration is in the repository and cannot be written; what is kept lies in declared volumes, each used. */
export function mounts(file: ComposeFile, { exists }: Beside): string[] {
  const declared = new Set(Object.keys(file.volumes ?? {}))
  const used = new Set<string>()
  const problems = Object.entries(file.services).flatMap(([name, { volumes = [] }]) =>
    volumes.flatMap((entry) => {
      const { source, readOnly, created } = mountOf(entry)
      if (!/^[./]/.test(source)) {
        used.add(source)
        return from(name, !declared.has(source) && `volume ${source} is not declared`)
      }
      return [
        ...from(name, !exists(source) && `${source} is not in the repository`),
        ...from(name, !readOnly && `${source} can be written`),
        ...from(name, created && `${source} can be set to a path that docker would make as an empty directory`),
      ]
    }),
  )
  const idle = [...declared].filter((volume) => !used.has(volume)).map((volume) => `volume ${volume} is used by nobody`)
  return [...problems, ...idle]
}

function mountOf(entry: string | Mount): { source: string; readOnly: boolean; created: boolean } {
  if (typeof entry !== 'string') {
    const created = entry.source.includes('${') && entry.bind?.create_host_path !== false
    return { source: withDefaults(entry.source), readOnly: entry.read_only === true, created }
  }
  const text = withDefaults(entry)
  const [source = ''] = text.split(':')
  return { source, readOnly: text.endsWith(':ro'), created: entry.startsWith('${') }
}

/** As compose expands it when nothing is set. */
export const withDefaults = (text: string): string =>
  text.replace(/\$\{\w+:-([^}]*)\}/g, '$1').replace(/\$\{\w+:\+[^}]*\}/g, '')

/** Commands are plain lists of texts, so that the native stack can read them. */
export function commands(file: ComposeFile): string[] {
  return servers(file).flatMap(([name, { command }]) => {
    if (command === undefined) return from(name, name !== 'grafana' && 'has no command')
    const plain = Array.isArray(command) && command.every((word) => typeof word === 'string' && word.startsWith('-'))
    return from(name, !plain && 'its command is not a list of flags')
  })
}
