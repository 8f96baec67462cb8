// Owns: the port through which output of a step is kept: masked, capped, with its tail.

export interface LogEnd {
  /** The last part of the output, masked. */
  readonly tail: string
  readonly bytes: number
  /** The log file does not hold all of it. */
  readonly capped: boolean
}

export interface Log {
  write(chunk: Buffer): void
  /** No more output: what is left is written. */
  end(): LogEnd | Promise<LogEnd>
  /** The same as `end` tells, while output may still come. */
  soFar(): LogEnd
}
