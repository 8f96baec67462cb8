// An OTLP/HTTP receiver that accepts everything and counts spans. Prints its port; GET answers with the spans since the
// last GET: distinct ids, markers left out.
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'

interface Sent {
  readonly resourceSpans?: readonly {
    readonly scopeSpans: readonly {
      readonly spans: readonly { readonly spanId: string; readonly attributes?: readonly { readonly key: string }[] }[]
    }[]
  }[]
}

let ids = new Set<string>()
// Reading what came is left for later: the sender must not share its time with the counting.
let unread: Buffer[] = []

const server = createServer((request, response) => {
  if (request.method === 'GET') return void response.end(String(count()))
  receive(request).then(
    (body) => {
      if (request.url === '/v1/traces') unread.push(body)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    },
    () => response.destroy(),
  )
})

async function receive(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  return request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
}

function count(): number {
  for (const body of unread) {
    const { resourceSpans = [] } = JSON.parse(body.toString()) as Sent
    for (const { scopeSpans } of resourceSpans)
      for (const { spans } of scopeSpans)
        for (const { spanId, attributes = [] } of spans)
          if (!attributes.some(({ key }) => key === 'spanwright.marker')) ids.add(spanId)
  }
  unread = []
  const { size } = ids
  ids = new Set()
  return size
}

server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))
