// An OTLP/gRPC receiver for tests, loopback only: keeps what came in by signal, decoded, and its metadata. It can be
// told to answer with an error.
import { Server, ServerCredentials, status, type MetadataValue } from '@grpc/grpc-js'
import { decodeRequest } from './otlp-protobuf.ts'
import type { Signal } from './otlp-sink.ts'

const SERVICES: { readonly [signal in Signal]: string } = {
  traces: 'opentelemetry.proto.collector.trace.v1.TraceService',
  metrics: 'opentelemetry.proto.collector.metrics.v1.MetricsService',
  logs: 'opentelemetry.proto.collector.logs.v1.LogsService',
}
const bytes = (value: Buffer): Buffer => value

export interface GrpcRequest {
  readonly signal: Signal
  readonly message: unknown
  readonly body: Buffer
  readonly metadata: { readonly [name: string]: MetadataValue }
}

export interface GrpcSink {
  readonly url: string
  readonly requests: GrpcRequest[]
  /** Asked for each request: a status code other than 0 is answered as an error; bytes are the answer. */
  answer: ((signal: Signal) => { code: number; details: string } | Buffer | undefined) | undefined
  close(): void
}

export const UNIMPLEMENTED = status.UNIMPLEMENTED
export const UNAVAILABLE = status.UNAVAILABLE
export const INVALID_ARGUMENT = status.INVALID_ARGUMENT

export async function startGrpcSink(): Promise<GrpcSink> {
  const server = new Server()
  const requests: GrpcRequest[] = []
  for (const [signal, name] of Object.entries(SERVICES) as [Signal, string][]) {
    const service = {
      export: {
        path: `/${name}/Export`,
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    }
    server.addService(service, {
      export(call: { request: Buffer; metadata: { getMap(): GrpcRequest['metadata'] } }, done: Done) {
        const body = call.request
        requests.push({ signal, body, message: decodeRequest(signal, body), metadata: call.metadata.getMap() })
        const answer = sink.answer?.(signal)
        if (answer && !Buffer.isBuffer(answer)) done(answer)
        else done(null, answer ?? Buffer.alloc(0))
      },
    })
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const sink: GrpcSink = {
    url: `http://127.0.0.1:${port}`,
    requests,
    answer: undefined,
    close: () => server.forceShutdown(),
  }
  return sink
}

type Done = (error: { code: number; details: string } | null, response?: Buffer) => void
