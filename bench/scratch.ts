// Owns: a directory that benchmarks write to, on the disk of the project (the temporary directory is often memory) or
// below BENCH_DIR. It is removed when the process ends.
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'

export function scratchDirectory(): string {
  const directory = mkdtempSync(path.join(process.env['BENCH_DIR'] ?? process.cwd(), '.bench-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** The floor of everything durable: appends to one file, each followed by fdatasync. */
export function openFloor(directory: string): { append(bytes: Uint8Array): void; close(): void } {
  const fd = openSync(path.join(directory, `floor-${process.hrtime.bigint()}`), 'a')
  return {
    append(bytes) {
      writeSync(fd, bytes)
      fdatasyncSync(fd)
    },
    close: () => closeSync(fd),
  }
}
