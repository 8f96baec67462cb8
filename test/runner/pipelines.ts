// Owns: the pipelines that test processes run, by name. Steps note what they did in files of the working directory.
import { fileURLToPath } from 'node:url'
import { call, fanout, gate, run, wait, type PipelineDefinition } from '../../src/pipeline/builder.ts'
import { define } from './compose.ts'

/** Each attempt of a step notes its id, once at its start and once at its end. */
const noted = (script: string): string =>
  `echo "$SPANWRIGHT_ATTEMPT_ID" >> started.txt\n${script}\necho "$SPANWRIGHT_ATTEMPT_ID" >> done.txt`

export const pipelines = {
  /** A bit of everything: fan-out, retry with a delay, gate, wait, processes that leave their group. */
  medium: () =>
    define(
      [
        run('prepare', { run: noted('setsid sleep 60 >/dev/null 2>&1 & true') }),
        run('flaky', {
          run: noted('test "$SPANWRIGHT_ATTEMPT" -ge 2'),
          retry: { maxAttempts: 3, initial: '60ms', jitter: 0 },
        }),
        fanout('fan', { count: 3, maxParallel: 2, nodes: [run('lane', { run: noted('sleep 0.03') })] }),
        gate('ask', { question: 'Go on?', choices: ['yes', 'no'], timeout: '80ms', default: 'yes' }),
        wait('pause', { for: '30ms' }),
        run('last', { run: noted('true') }),
      ],
      { maxParallel: 3, hooks: { onFinish: ['echo "$SPANWRIGHT_RESULT" >> hooks.txt'] } },
    ),
  /** Runs until it is ended. */
  sleeper: () => define([run('sleep', { run: noted('sleep 60') })]),
  /** Waits for an answer. */
  asking: () =>
    define([
      gate('ship', { question: 'Ship it?', choices: ['approve', 'reject'] }),
      run('deploy', { run: noted('true') }),
    ]),
  quick: () => define([run('one', { run: noted('sleep 0.2') })]),
  /** A step that is itself a runner, of a run in the same store. */
  nesting: () =>
    define([
      run('outer', {
        run: [
          process.execPath,
          fileURLToPath(new URL('programs/runner.ts', import.meta.url)),
          '{"store":"store","cwd":".","pipeline":"sleeper"}',
        ],
      }),
    ]),
  wide: () =>
    define([fanout('fan', { count: 200, nodes: [run('lane', { run: noted('sleep 60') })] })], { maxParallel: 40 }),
  chain: () => define(Array.from({ length: 1_000 }, (_, i) => call(`n${i}`, () => undefined))),
} satisfies Record<string, () => PipelineDefinition>
