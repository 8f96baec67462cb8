// Owns: docker compose for tests that need no engine (`config` reads and checks files only): the machine's own, or Debian's
// package unpacked into the cache. Nothing is installed and no setting of the system's apt is changed.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { PROJECT_ROOT } from '../../support/cli.ts'

const CACHE = path.join(PROJECT_ROOT, '.cache/stack')
const UNPACKED = path.join(CACHE, 'docker-compose')
const SUITE = 'trixie'

export interface ComposeResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}
/** Runs compose in `cwd` with these variables and no others that compose reads. */
export type Compose = (
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
) => ComposeResult

/** Fails with what to install where neither docker compose nor apt is there. */
export function composeTool(): Compose {
  const words = command()
  return (args, { cwd, env = {} }) => {
    const [program, ...first] = words
    const run = spawnSync(program!, [...first, ...args], {
      cwd,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    })
    return { exitCode: run.status, stdout: run.stdout, stderr: run.stderr }
  }
}

function command(): readonly string[] {
  if (spawnSync('docker', ['compose', 'version']).status === 0) return ['docker', 'compose']
  if (!existsSync(UNPACKED)) unpack()
  return [UNPACKED]
}

/** apt-get with lists and cache of its own, so that the system's stay as they are. */
function unpack(): void {
  mkdirSync(CACHE, { recursive: true })
  const work = mkdtempSync(path.join(CACHE, 'apt-'))
  try {
    for (const name of ['lists/partial', 'cache/archives/partial', 'parts'])
      mkdirSync(path.join(work, name), { recursive: true })
    writeFileSync(path.join(work, 'sources.list'), `deb ${mirror()} ${SUITE} main\n`)
    writeFileSync(
      path.join(work, 'apt.conf'),
      [
        `Dir::Etc::sourcelist "${work}/sources.list";`,
        `Dir::Etc::sourceparts "${work}/parts";`,
        `Dir::State::lists "${work}/lists";`,
        `Dir::Cache "${work}/cache";`,
      ].join('\n'),
    )
    const apt = (...args: string[]): void => {
      const env = { ...process.env, APT_CONFIG: path.join(work, 'apt.conf') }
      execFileSync('apt-get', ['-qq', ...args], {
        cwd: work,
        env,
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: 120_000,
      })
    }
    apt('update')
    apt('download', 'docker-compose')
    const [archive] = readdirSync(work).filter((name) => name.endsWith('.deb'))
    execFileSync('dpkg-deb', ['-x', archive!, 'root'], { cwd: work })
    renameSync(path.join(work, 'root/usr/libexec/docker/cli-plugins/docker-compose'), UNPACKED)
  } catch (error) {
    const hint = "There is no docker compose here, and Debian's package could not be fetched with apt-get."
    throw new Error(`${hint} Install the compose plugin of docker (no engine is needed).`, { cause: error })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** The package mirror that this system is set to. */
function mirror(): string {
  const targets = execFileSync('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'], {
    encoding: 'utf8',
  })
  const [first] = targets.split('\n').filter((line) => line !== '' && !line.includes('security'))
  if (first === undefined) throw new Error('apt has no package source')
  return first
}
