// Owns: where the files of steps lie in the run directory, and how effects write them: masked, bounded, made when there
// is something to write (I8, I9). The formats of the journal's own files are the journal's.
import { join } from 'node:path'
import type { Json } from '../core/json.ts'
import { parseAttemptId } from '../core/ids.ts'
import { writeArtifact } from '../journal/artifacts.ts'
import { makeDirectory } from '../journal/atomic-file.ts'
import { LogWriter } from '../journal/log-writer.ts'
import type { Mask } from '../journal/masking.ts'
import { attemptDirectory } from '../journal/run-directory.ts'

export interface LogEnd {
  /** The last part of the output, masked. */
  readonly tail: string
  readonly bytes: number
  /** The log could not be written. */
  readonly error?: Error | undefined
}

/** One output stream of a step on its way to a capped, masked log. */
export interface Log {
  write(chunk: Buffer): void
  /** No more output: what is left is written. */
  end(): LogEnd
  /** The same as `end` tells, while output may still come. */
  soFar(): LogEnd
}

export interface StepFiles {
  /**
   * Absolute directory of an attempt, made if it is not there. Given the id of a visit, that of its attempt 0, which
   * holds what belongs to no attempt (checks of a fan-out).
   */
  directory(id: string): string
  /** `capped` is told once, when the log file does not take more. */
  openLog(directory: string, name: string, capped?: (limitBytes: number) => void): Log
  /** Keeps the tail only. */
  openTail(): Log
  /** Text as it is, JSON indented. */
  write(directory: string, name: string, content: Json): void
}

export function createStepFiles(runDir: string, mask: Mask): StepFiles {
  return {
    directory(id) {
      const directory = attemptDirectory(runDir, parseAttemptId(id) ? id : `${id}.0`)
      makeDirectory(directory)
      return directory
    },
    openLog: (directory, name, capped) => new LazyLog(mask, join(directory, name), capped),
    openTail: () => new LazyLog(mask, undefined, undefined),
    write: (directory, name, content) => writeArtifact(join(directory, name), content, mask),
  }
}

/** Most commands print little or nothing: the writer with its buffers is made with the first output. */
class LazyLog implements Log {
  readonly #mask: Mask
  readonly #path: string | undefined
  readonly #capped: ((limitBytes: number) => void) | undefined
  #writer: LogWriter | undefined
  #error: Error | undefined

  constructor(mask: Mask, path: string | undefined, capped: ((limitBytes: number) => void) | undefined) {
    this.#mask = mask
    this.#path = path
    this.#capped = capped
  }

  write(chunk: Buffer): void {
    this.#writer ??= new LogWriter({
      path: this.#path,
      mask: this.#mask,
      onCapped: this.#capped,
      onFailed: (error) => {
        this.#error = error
      },
    })
    this.#writer.write(chunk)
  }

  end(): LogEnd {
    this.#writer?.close()
    return this.soFar()
  }

  soFar(): LogEnd {
    return { tail: this.#writer?.tail() ?? '', bytes: this.#writer?.bytes ?? 0, error: this.#error }
  }
}
