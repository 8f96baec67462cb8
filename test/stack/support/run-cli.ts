// Owns: the environment with which the built CLI reports to a stack; starting it is test/support/cli.ts.
import type { StackUrls } from '../../../scripts/native-stack/stack.ts'
import { runCli, startCli, type CliOptions, type CliResult, type RunningCli } from '../../support/cli.ts'

type Environment = Record<string, string | undefined>

/** Variables that point the CLI to the collector of the stack, as `spanwright stack up` prints them. */
export function reportingTo(urls: Pick<StackUrls, 'otlp_http'>, changes: CliOptions['env'] = {}): Environment {
  return { OTEL_EXPORTER_OTLP_ENDPOINT: urls.otlp_http, ...changes }
}

/** Runs the CLI to its end, reporting to the stack. */
export async function runCliOn(urls: StackUrls, args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return await runCli(args, { ...options, env: reportingTo(urls, options.env) })
}

/** Starts the CLI, reporting to the stack, and returns at once. */
export function startCliOn(urls: StackUrls, args: readonly string[], options: CliOptions = {}): RunningCli {
  return startCli(args, { ...options, env: reportingTo(urls, options.env) })
}
