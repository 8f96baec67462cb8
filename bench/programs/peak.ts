// Loaded into a process that is measured (--import): writes its peak memory, in bytes, to the file BENCH_PEAK at exit.
import { writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const file = process.env['BENCH_PEAK']
if (file !== undefined && isMainThread) {
  // The sentinel's and steps' own processes must not inherit it.
  delete process.env['BENCH_PEAK']
  process.once('exit', () => writeFileSync(file, String(process.resourceUsage().maxRSS * 1024)))
}
