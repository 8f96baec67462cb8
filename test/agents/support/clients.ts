// Owns: the pinned agent clients that tests start: installed once per version into the project's cache, apart from its own
// dependencies, and found there as plain programs. Their install scripts do not run: the native binaries are started.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const PROJECT_ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PINS = path.join(PROJECT_ROOT, 'test/agents/clients')
const CACHE = path.join(PROJECT_ROOT, '.cache/agents')

/** Gemini CLI is a program for Node: it runs on the one that runs the tests. */
const GEMINI = '@google/gemini-cli/bundle/gemini.js'

/** Where the binaries are in the packages of this platform. OpenCode is pinned for the platform of the CI only. */
const BINARIES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'linux-x64': {
    claude: '@anthropic-ai/claude-code-linux-x64/claude',
    codex: '@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex',
    opencode: 'opencode-linux-x64/bin/opencode',
  },
  'linux-arm64': {
    claude: '@anthropic-ai/claude-code-linux-arm64/claude',
    codex: '@openai/codex-linux-arm64/vendor/aarch64-unknown-linux-musl/bin/codex',
  },
  'darwin-arm64': {
    claude: '@anthropic-ai/claude-code-darwin-arm64/claude',
    codex: '@openai/codex-darwin-arm64/vendor/aarch64-apple-darwin/bin/codex',
  },
}

/** A folder with the programs `claude`, `codex`, `gemini` and `opencode`, for the front of PATH. Installs them if they are not there yet. */
export function clientFolder(): string {
  const lock = readFileSync(path.join(PINS, 'package-lock.json'))
  const folder = path.join(CACHE, createHash('sha256').update(lock).digest('hex').slice(0, 16))
  const bin = path.join(folder, 'bin')
  if (!existsSync(bin)) install(folder)
  return bin
}

/** Before the first test (vitest global setup): an installation that fails is tried and told once. */
export default function setup(): void {
  clientFolder()
}

function install(folder: string): void {
  const platform = `${process.platform}-${process.arch}`
  const binaries = BINARIES[platform]
  if (binaries === undefined) throw new Error(`no agent clients are pinned for ${platform}`)
  const staging = `${folder}.${process.pid}.tmp`
  try {
    mkdirSync(path.join(staging, 'bin'), { recursive: true })
    fill(staging, folder, binaries)
    renameSync(staging, folder)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

function fill(staging: string, folder: string, binaries: Readonly<Record<string, string>>): void {
  for (const name of ['package.json', 'package-lock.json'])
    copyFileSync(path.join(PINS, name), path.join(staging, name))
  process.stderr.write('installing the pinned agent clients once (1.1 GB on disk)\n')
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: staging,
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 600_000,
  })
  for (const [name, file] of Object.entries(binaries)) {
    const binary = path.join('node_modules', file)
    if (!existsSync(path.join(staging, binary))) throw new Error(`the package of ${name} holds no ${binary}`)
    symlinkSync(path.join('..', binary), path.join(staging, 'bin', name))
  }
  const gemini = path.join(staging, 'bin', 'gemini')
  writeFileSync(gemini, `#!/bin/sh\nexec "${process.execPath}" "${path.join(folder, 'node_modules', GEMINI)}" "$@"\n`)
  chmodSync(gemini, 0o755)
}
