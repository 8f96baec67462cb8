// The quickstart's ideas in TypeScript: run it with `spanwright run examples/typescript.ts`.
// Functions run in Spanwright's own process; what they return are their outputs, what they throw is their failure.
import { call, fanout, pipeline, run } from 'spanwright'

export default pipeline({
  name: 'typescript',
  description: 'Measure words, with one flaky function on the way',
  params: { words: { type: 'array', default: ['span', 'branch', 'attempt'] } },
  hooks: { onSuccess: ['echo "run $SPANWRIGHT_RUN_ID ended with $SPANWRIGHT_RESULT"'] },
  nodes: [
    run('prepare', { run: 'echo "unit=letters" >> "$SPANWRIGHT_OUTPUTS"' }),

    // One branch per word; `item` is the word of the branch.
    fanout('measure', {
      each: '${{ params.words }}',
      nodes: [call('length', async ({ item }) => ({ length: (item as string).length }))],
    }),

    // The first attempt fails, the second one succeeds: both are spans of the trace.
    call(
      'flaky',
      async ({ attempt }) => {
        if (attempt.number < 2) throw new Error('the network is having a moment')
        return { attempts: attempt.number }
      },
      { retry: { maxAttempts: 3, initial: '1s' } },
    ),

    run('report', { run: ['echo', '${{ nodes.measure.outputs.branches }}'] }),
  ],
})
