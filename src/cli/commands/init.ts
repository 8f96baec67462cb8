// Owns: the first pipeline of a new user: commented, and it runs as it stands.
import { writeFileSync } from 'node:fs'
import { SpanwrightError } from '../../core/error.ts'
import type { CommandFunction } from '../command-table.ts'

const DEFAULT_FILE = 'pipeline.yaml'
const PIPELINE = `# A Spanwright pipeline. Run it:       spanwright run FILE
# Check it without running anything:  spanwright validate FILE
name: first
description: Says hello, tries a flaky step twice, and checks the result

params:
  # Overridden with --param name=Ada
  name: { type: string, default: world }

nodes:
  # Without needs, a node waits for the one above it. A string is a shell command (sh -ec).
  - id: hello
    run: |
      echo "Hello, \${{ params.name }}"
      # key=value lines in this file become outputs of the node.
      echo "greeted=\${{ params.name }}" >> "$SPANWRIGHT_OUTPUTS"

  # An attempt that fails is tried again; both attempts stay visible in \`spanwright show latest\`.
  - id: flaky
    run: |
      if [ "$SPANWRIGHT_ATTEMPT" -lt 2 ]; then echo "not yet" >&2; exit 1; fi
      echo "worked at attempt $SPANWRIGHT_ATTEMPT"
    retry: { max_attempts: 3, initial: 500ms }

  # A fan-out runs its nodes once per item, side by side.
  - id: count
    fanout:
      each: [one, two, three]
      as: word
      nodes:
        - id: say
          run: echo "\${{ word }}"

  # Checks run after the command has succeeded; a failing one fails the attempt (required: false only says so).
  - id: verify
    run: echo "\${{ nodes.hello.outputs.greeted }}" > greeting.txt
    checks:
      - { name: written, run: test -s greeting.txt }
`

export const init: CommandFunction = async ({ args, output }) => {
  const file = (args[0] as string | undefined) ?? DEFAULT_FILE
  try {
    writeFileSync(file, PIPELINE.replaceAll('FILE', file), { flag: 'wx' })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EEXIST')
      throw new SpanwrightError(
        'usage.invalid',
        `${file} is there already and stays as it is: name another file, \`spanwright init FILE\``,
      )
    throw new SpanwrightError('usage.invalid', `${file} could not be written: ${message}`, { cause: error })
  }
  output.result(file)
  output.say(`Wrote ${file}. Next: spanwright run ${file}`)
  return 0
}
