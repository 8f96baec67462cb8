// Owns: log.ndjson, the diagnostics of a run for people who look closer: what functions log, what went wrong beside the
// run. Each line has the trace id and, where it speaks of an attempt, the span id. Nothing reads it back.
import type { DestinationStream, Logger } from 'pino'
import type { JsonObject } from '../core/json.ts'
import type { StepLogger } from '../effects/context.ts'
import { FILE_MODE } from '../journal/atomic-file.ts'
import type { Mask } from '../journal/masking.ts'

export interface DiagnosticsLog extends StepLogger {
  /** Resolves when everything is written. */
  close(): Promise<void>
}

export interface DiagnosticsOptions {
  readonly file: string
  readonly traceId: string
  readonly mask: Mask
  /** Span id of an open attempt. */
  readonly spanOf: (attemptId: string) => string | undefined
}

type Level = 'info' | 'warn' | 'error'

/** The file is made, and pino loaded, with the first line. A log that cannot be written is silent. */
export function openDiagnosticsLog({ file, traceId, mask, spanOf }: DiagnosticsOptions): DiagnosticsLog {
  let opening: Promise<{ logger: Logger; destination: DestinationStream & { end(): void } } | undefined> | undefined
  const open = async () => {
    const { pino } = await import('pino')
    const destination = pino.destination({ dest: file, sync: true, append: true, mode: FILE_MODE })
    destination.on('error', () => {})
    const logger = pino({ base: { trace_id: traceId }, timestamp: pino.stdTimeFunctions.isoTime }, destination)
    return { logger, destination }
  }
  const write = (level: Level, message: string, fields: JsonObject = {}): void => {
    const attemptId = fields['attempt_id']
    const spanId = typeof attemptId === 'string' ? spanOf(attemptId) : undefined
    const line = { ...mask.json(fields), ...(spanId === undefined ? {} : { span_id: spanId }) }
    const text = mask.text(message)
    opening ??= open().catch(() => undefined)
    void opening.then((log) => log?.logger[level](line, text))
  }
  return {
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    async close() {
      const log = await opening
      log?.destination.end()
    },
  }
}
