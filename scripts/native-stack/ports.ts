// Owns: finding free loopback ports.
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Below what systems hand out for outgoing connections: a server that is restarted finds its port still free. */
const FIRST = 20_000
const LAST = 32_000

/** `count` different ports on 127.0.0.1 that nothing listened on a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  for (let tries = 0; found.size < count && tries < 1_000; tries += 1) {
    const port = randomInt(FIRST, LAST)
    if (!found.has(port) && (await isFree(port))) found.add(port)
  }
  if (found.size < count) throw new Error(`No ${count} free ports between ${FIRST} and ${LAST} on 127.0.0.1`)
  return [...found]
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
