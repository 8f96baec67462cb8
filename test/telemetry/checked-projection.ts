// Owns: the projection under test, with every span and log record that it makes checked against the telemetry registry.
import { createProjection as create, type Projection, type ProjectionOptions } from '../../src/telemetry/projection.ts'
import type { SpanRecord } from '../../src/telemetry/span-record.ts'
import { logRecordViolations, recordViolations, refuse } from '../support/telemetry-validator.ts'

export function createProjection(options?: ProjectionOptions): Projection {
  const projection = create(options)
  const checked = (spans: SpanRecord[]): SpanRecord[] => {
    refuse(spans.flatMap(recordViolations), 'the projection')
    return spans
  }
  return {
    apply(entry) {
      const spans = checked(projection.apply(entry))
      refuse(projection.logs.flatMap(logRecordViolations), 'the projection')
      return spans
    },
    get logs() {
      return projection.logs
    },
    open: () => projection.open(),
    get openCount() {
      return projection.openCount
    },
    markersDue: (nowUs) => checked(projection.markersDue(nowUs)),
  }
}
