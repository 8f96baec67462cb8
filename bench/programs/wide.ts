// A pipeline file for the command line: BENCH_WIDTH functions that do nothing, side by side.
import { functionFanout } from '../measured-run.ts'

export default functionFanout(Number(process.env['BENCH_WIDTH']))
