#!/usr/bin/env node
// Owns: the first moments of the program: is this Node new enough, is this a system it runs on, then the rest by dynamic
// import. Must parse and run on old versions of Node: no static imports, no syntax newer than ES2020.

const FLOOR_MAJOR = 22
const FLOOR_MINOR = 18

/** Why the program cannot run here; empty when it can. */
function refusal(): string {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (Number(major) < FLOOR_MAJOR || (Number(major) === FLOOR_MAJOR && Number(minor) < FLOOR_MINOR)) {
    return `spanwright needs Node ${FLOOR_MAJOR}.${FLOOR_MINOR} or later, this is ${process.versions.node}: install a newer one (https://nodejs.org) or put it first on PATH.`
  }
  if (process.platform === 'win32') {
    return 'spanwright runs on Linux and macOS, not on Windows: use it inside WSL 2.'
  }
  return ''
}

async function start(): Promise<number> {
  const args = process.argv.slice(2)
  const refused = refusal()
  if (refused !== '') {
    process.stderr.write(`${refused}\n`)
    return 2
  }
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
    const { printVersion } = await import('./version.ts')
    return printVersion()
  }
  const { enableCompileCache } = await import('node:module')
  enableCompileCache()
  // What a run allocates dies at once, so a young generation that grows with the load (to over 100 MB) gains nothing:
  // it costs memory, and every spawn has to copy the page tables of all that is resident.
  const { setFlagsFromString } = await import('node:v8')
  setFlagsFromString('--semi-space-growth-factor=1')
  const { runProgram } = await import('./program.ts')
  return runProgram(args)
}

// What is written has been taken by the system before this; a worker that still delivers must not hold the process.
start().then(
  (exitCode) => process.exit(exitCode),
  (error) => {
    process.stderr.write(`spanwright: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(5)
  },
)

export {}
