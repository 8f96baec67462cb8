// Owns: one package as npm would install it, unpacked: node fetch.mjs <name@version>
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fail, succeed } from './step.mjs'

const [wanted] = process.argv.slice(2)
if (wanted === undefined) fail('usage: fetch.mjs <name@version>')
const run = process.env.SPANWRIGHT_RUN_ID ?? 'by-hand'
const directory = path.resolve('.cache/packages', run, wanted.replaceAll(/[^A-Za-z0-9.]+/g, '-'))
mkdirSync(directory, { recursive: true })

const packed = execFileSync(
  'npm',
  ['pack', wanted, '--json', '--prefer-offline', '--loglevel=error', '--pack-destination', directory],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
)
// npm prints a list of one, newer versions an object with one entry.
const [archive] = Object.values(JSON.parse(packed))
execFileSync('tar', [
  '-xzf',
  path.join(directory, path.basename(archive.filename)),
  '-C',
  directory,
  '--strip-components=1',
])

const { name, version } = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'))
console.log(`${name} ${version}: ${archive.size} bytes packed, ${archive.entryCount} files`)
succeed({ name, version, directory, bytes: archive.size })
