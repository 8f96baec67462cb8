// Expressions in shell scripts become environment references: checked by running real shells with hostile values.
import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileShell } from '../../src/pipeline/shell.ts'

const HOSTILE = [
  'plain',
  'two words',
  `'; rm -rf /tmp/nothing #`,
  '"; echo pwned; "',
  '$(echo pwned)',
  '`echo pwned`',
  'line 1\nline 2\n\nEOF\n',
  '*',
  '~',
  '\\',
  'a\\nb',
  '$HOME',
  '${HOME}',
  '-n',
  'a  b',
  '\t tab',
  '!x',
  '%s',
  "it's",
  '))',
  'é☃',
]

function run(shell: 'sh' | 'bash', source: string, values: { [expression: string]: string }) {
  const { script, bindings, problems } = compileShell(source, shell)
  const env = Object.fromEntries(bindings.map(({ name, expression }) => [name, values[expression]!]))
  const args = shell === 'sh' ? ['-ec', script] : ['-eo', 'pipefail', '-c', script]
  const child = spawnSync(shell, args, {
    env: { PATH: process.env['PATH']!, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 10_000,
  })
  return { script, problems, stdout: child.stdout, stderr: child.stderr, status: child.status }
}

/** Each prints the value between brackets, whatever the quoting around it. */
const PLACES: { [name: string]: string } = {
  'outside quotes': 'printf "[%s]" ${{ v }}',
  'inside double quotes': 'printf "[%s]" "${{ v }}"',
  'next to a word': 'x=${{ v }}; printf "[%s]" "$x"',
  'after single quotes': "printf '[%s]' ''${{ v }}''",
  'after an apostrophe in a comment': "# don't ${{ other }} `stop`\nprintf '[%s]' ${{ v }}",
  'in a command substitution': 'x=$(printf "%s_" ${{ v }}); printf "[%s]" "${x%_}"',
  'in a command substitution inside double quotes': 'x="$(printf "%s_" "${{ v }}")"; printf "[%s]" "${x%_}"',
  'unquoted in a substitution inside double quotes': 'x="$(printf "%s_" ${{ v }})"; printf "[%s]" "${x%_}"',
  'in backticks': 'x=`printf "%s_" ${{ v }}`; printf "[%s]" "${x%_}"',
  'in backticks inside double quotes': 'x="`printf %s_ ${{ v }}`"; printf "[%s]" "${x%_}"',
  'as a default in double quotes': 'printf "[%s]" "${unset:-${{ v }}}"',
  'as a default with an apostrophe': `: "\${unset:-it's}"; printf "[%s]" "\${{ v }}"`,
  'as a default outside quotes': 'printf "[%s]" ${unset:-${{ v }}}',
  'as a quoted default': 'printf "[%s]" ${unset:-"${{ v }}"}',
  'in a pattern': "x='a'; : ${x#'a'}; printf '[%s]' ${{ v }}",
  'in a subshell': '( (printf "[%s]" ${{ v }}) )',
  'after case in a substitution': 'x="$(case a in a) printf "%s_" ${{ v }} ;; (b) : ;; esac)"; printf "[%s]" "${x%_}"',
  'behind an escaped quote': 'printf "%s" \\" >/dev/null; printf "[%s]" ${{ v }}',
  'behind an escaped quote in double quotes': 'x="\\"${{ v }}\\""; x="${x#?}"; printf "[%s]" "${x%?}"',
  'after $# and ${#x}': 'x=a; : $# ${#x} a#b; printf "[%s]" ${{ v }} # don\'t',
  'in a pipe': 'printf "%s_" ${{ v }} | { x=$(cat); printf "[%s]" "${x%_}"; }',
  'continued line': 'printf "[%s]" \\\n  ${{ v }}',
  'spread over lines': 'printf "[%s]" ${{\n  v\n}}',
  'as the word of a case': 'case ${{ v }} in *) printf "[%s]" "${{ v }}" ;; esac',
  'in a loop': 'for x in ${{ v }}; do printf "[%s]" "$x"; done',
}

describe('values arrive as data', () => {
  for (const shell of ['sh', 'bash'] as const) {
    const places = Object.entries(PLACES).filter(
      ([name]) => shell === 'sh' || name !== 'as a default with an apostrophe',
    )
    test.each(places)(`${shell}: %s`, (_, source) => {
      const script = HOSTILE.map((value, i) => ({ source: source.replaceAll(/\bv\b(?=\s*\}\})/g, `v${i}`), value }))
      const values = Object.fromEntries(HOSTILE.map((value, i) => [`v${i}`, value]))
      const ran = run(shell, script.map((part) => part.source).join('\n'), values)
      expect(ran.problems).toEqual([])
      expect({ stdout: ran.stdout, stderr: ran.stderr }).toEqual({
        stdout: HOSTILE.map((value) => `[${value}]`).join(''),
        stderr: '',
      })
    })

    test(`${shell}: here-documents`, () => {
      const source = [
        'cat <<EOF; cat <<-"X Y" <<TWO',
        'a ${{ v }} "${{ v }}" it\'s',
        'EOF',
        "\tquoted $(x) 'y'",
        '\tX Y',
        'b $(printf %s ${{ v }}) \\$x',
        'TWO',
        'printf "[%s]" "$(cat <<E\n(${{ v }})\nE\n)"',
        'cat <<< x > /dev/null || true',
        'printf "%s\\n" ${{ v }} # <<NOT',
        'echo $((1<<2)) ${{ w }}',
      ]
        .filter((line) => shell === 'bash' || !line.includes('<<<'))
        .join('\n')
      const ran = run(shell, source, { v: `$(echo no) 'q' \`x\``, w: 'w' })
      const v = `$(echo no) 'q' \`x\``
      expect(ran.problems).toEqual([])
      expect(ran.stderr).toBe('')
      expect(ran.stdout).toBe(`a ${v} "${v}" it's\nb ${v} $x\n[(${v})]${v}\n4 w\n`)
    })
  }

  test('any value, any place', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 20 }),
        fc.constantFrom(...Object.values(PLACES)),
        (text, source) => {
          const value = text.replaceAll('\0', '')
          expect(run('sh', source, { v: value }).stdout).toBe(Buffer.from(`[${value}]`).toString())
        },
      ),
      { numRuns: 60 },
    )
  })
})

test('each distinct expression has one variable', () => {
  expect(compileShell('a ${{ x }} "${{x}}" ${{ y }}', 'sh')).toEqual({
    script: 'a "${SPANWRIGHT_X1}" "${SPANWRIGHT_X1}" "${SPANWRIGHT_X2}"',
    bindings: [
      { name: 'SPANWRIGHT_X1', expression: 'x' },
      { name: 'SPANWRIGHT_X2', expression: 'y' },
    ],
    problems: [],
  })
})

test('a script without expressions is left alone', () => {
  expect(compileShell(`echo 'unbalanced`, 'sh')).toEqual({ script: `echo 'unbalanced`, bindings: [], problems: [] })
})

describe('places where no reference can work', () => {
  test.each([
    ["echo '${{ x }}'", 'single quotes', 'use double quotes'],
    ["sh -c 'echo ${{ x }}'", 'single quotes', 'double quotes'],
    ["cat <<'EOF'\n${{ x }}\nEOF", 'quoted delimiter', 'write <<EOF without quotes'],
    ['cat <<\\EOF\n${{ x }}\nEOF', 'quoted delimiter', 'write <<EOF'],
    ["cat <<-'E'\n\t${{ x }}\n\tE\necho", 'quoted delimiter', 'write <<E'],
    ['echo $(( ${{ x }} + 1 ))', 'evaluated as code', 'calculate inside the expression'],
    ['echo "$((1 + ${{ x }}))"', 'evaluated as code', 'calculate'],
    ['echo \\${{ x }}', 'backslash', 'remove'],
    ['echo "\\${{ x }}"', 'backslash', 'remove'],
    ['cat <<${{ x }}\n', 'delimiter', 'fixed word'],
    [`echo "$(echo '\${{ x }}')"`, 'single quotes', 'double quotes'],
  ])('%s', (source, message, fix) => {
    const { problems } = compileShell(source, 'sh')
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatchObject({ rule: 'shell-quote', severity: 'error', offset: source.indexOf('${{') })
    expect(problems[0]!.message).toContain(message)
    expect(problems[0]!.fix).toContain(fix)
  })
  test('bash: ANSI quotes and arithmetic commands', () => {
    expect(compileShell(`echo $'a\\'\${{ x }}'`, 'bash').problems).toMatchObject([{ rule: 'shell-quote' }])
    expect(compileShell('(( ${{ x }} > 1 ))', 'bash').problems).toMatchObject([{ rule: 'shell-quote' }])
  })
})

describe('a value that another shell would run is a warning', () => {
  test.each([
    'eval ${{ x }}',
    'true; eval "echo ${{ x }}"',
    'sh -c "echo ${{ x }}"',
    'bash -euc "echo ${{ x }}"',
    '/bin/sh -c ${{ x }}',
    'bash <<EOF\necho ${{ x }}\nEOF',
    'ssh host <<EOF\n${{ x }}\nEOF',
    'echo "$(sh -c "${{ x }}")"',
    'sudo sh -x -c "a; b ${{ x }}"',
  ])('%s', (source) =>
    expect(compileShell(source, 'sh').problems).toMatchObject([{ rule: 'shell-eval', severity: 'warning' }]),
  )

  test.each([
    `sh -c 'echo "$1"' sh \${{ x }}`,
    'echo eval ; echo ${{ x }}',
    'echo sh; ls -c ${{ x }}',
    'cat <<EOF\n${{ x }}\nEOF',
    'evaluate ${{ x }}',
    'eval "$(tool env)"\necho ${{ x }}',
  ])('not: %s', (source) => expect(compileShell(source, 'sh').problems).toEqual([]))
})

test('hostile scripts are scanned in time and never crash', () => {
  for (const unit of ['$(', '"$(', '`', '${x:-', '((', '<<A\n', "'", '"', '\\', '$((', 'case a in ']) {
    compileShell(`${unit.repeat(20_000)} \${{ x }}`, 'bash')
  }
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(
          '$(',
          ')',
          '"',
          "'",
          '`',
          '${',
          '}',
          '${{ x }}',
          '<<E',
          '\n',
          'E\n',
          '\\',
          '#',
          'a',
          ' ',
          '((',
          'case a in',
          'esac',
          ';',
        ),
        { maxLength: 60 },
      ),
      (parts) => {
        const source = parts.join('')
        const { script } = compileShell(source, 'bash')
        expect(script.replaceAll(/"?\$\{SPANWRIGHT_X1\}"?|\$\{\{ x \}\}/g, '').length).toBeLessThanOrEqual(
          source.length,
        )
      },
    ),
  )
})
