// Owns: the house rules that no linter knows, each a function from the project's files to the problems it finds, with a
// bad sample that it must find. tidy.test.ts runs both.

export interface ProjectFile {
  /** From the project's root, with `/`. */
  readonly path: string
  readonly text: string
}
export interface TidyRule {
  readonly name: string
  readonly problems: (files: readonly ProjectFile[]) => string[]
  readonly badSample: readonly ProjectFile[]
}

const CODE = /\.(ts|mjs|js|cjs)$/
const isCode = ({ path }: ProjectFile): boolean => CODE.test(path)
const isSource = (file: ProjectFile): boolean => file.path.startsWith('src/') && isCode(file)
const isTest = (file: ProjectFile): boolean => file.path.startsWith('test/') && isCode(file)

/** A rule about one file at a time. */
function each(
  name: string,
  badSample: ProjectFile,
  problem: (file: ProjectFile) => string | false | undefined,
): TidyRule {
  const problems = (files: readonly ProjectFile[]): string[] =>
    files.flatMap((file) => {
      const found = problem(file)
      return found === undefined || found === false ? [] : [`${file.path}: ${found}`]
    })
  return { name, problems, badSample: [badSample] }
}

/** Modules that `text` imports in any way: static, dynamic, re-export, type. */
export function importsOf(text: string): string[] {
  const matches = text.matchAll(
    /^\s*(?:import|export)\b[^'"`;]*?from\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\('([^']+)'\)/gm,
  )
  return [...matches].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

/** Words of a path: `src/a/retry-policy.ts` → src, a, retry, policy. */
const words = (path: string): string[] => path.replace(/\.[^/]*$/, '').split(/[^A-Za-z0-9]+/)

function foldersBelow(files: readonly ProjectFile[], top: string): string[] {
  const parts = files.map(({ path }) => path.split('/')).filter((path) => path[0] === top && path.length > 2)
  return [...new Set(parts.map((path) => path[1]!))].toSorted()
}

/** Spelt apart, so that this file does not break its own rule. */
const LEFT_OVER = ['T.O.D.O', 'F.I.X.M.E', 'X.X.X'].map((word) => word.replaceAll('.', ''))

const libraryHomes: readonly (readonly [library: RegExp, homes: RegExp])[] = [
  [/^@opentelemetry\/api$/, /^src\/(telemetry|effects)\//],
  [/^@opentelemetry\/(?!api$)/, /^src\/telemetry\//],
  [/^execa$/, /^src\/effects\//],
  [/^pino$/, /^src\/(telemetry|cli)\/|^src\/runner\/diagnostics-log\.ts$/],
]

export const TIDY_RULES: readonly TidyRule[] = [
  each(
    'a code file opens with a comment that says what it owns',
    { path: 'src/core/a.ts', text: 'export {}\n' },
    (file) => (isCode(file) && !/^(#!.*\n)?(\/\/|\/\*)/.test(file.text) ? 'opens without a comment' : undefined),
  ),
  each(
    'files are named after what they hold, in kebab case',
    { path: 'src/core/time-utils.ts', text: '// Owns\n' },
    (file) => {
      if (!isCode(file)) return undefined
      const vague = words(file.path).find((word) => /^(utils?|helpers?|common|misc|manager|service|types)$/i.test(word))
      if (vague !== undefined) return `"${vague}" names nothing`
      return /[A-Z_ ]/.test(file.path) ? 'is not in kebab case' : undefined
    },
  ),
  each(
    'OpenTelemetry, execa and pino stay where they belong',
    { path: 'src/cli/a.ts', text: "// A\nawait import('execa')\n" },
    (file) => {
      if (!isSource(file)) return undefined
      const stray = importsOf(file.text).filter((name) =>
        libraryHomes.some(([library, homes]) => library.test(name) && !homes.test(file.path)),
      )
      return stray.length > 0 && `imports ${stray.join(', ')}`
    },
  ),
  each('core never asks for the time', { path: 'src/core/a.ts', text: '// A\nexport const a = new Date()\n' }, (file) =>
    file.path.startsWith('src/core/') && /new Date\(\s*\)|\bDate\(\)/.test(file.text) ? 'asks for the time' : undefined,
  ),
  each('nothing is left to do later', { path: 'src/core/a.ts', text: `// ${LEFT_OVER[0]}: more\n` }, (file) => {
    const left = new RegExp(`\\b(${LEFT_OVER.join('|')})\\b`).exec(file.text)
    return left !== null && isCode(file) && `says ${left[0]}`
  }),
  each(
    'tests are neither focused nor left out',
    { path: 'test/core/a.test.ts', text: '// A\ntest.only("x")\n' },
    (file) =>
      file.path.endsWith('.test.ts') && /\b(test|it|describe)\.(only|skip|todo)\b/.test(file.text)
        ? 'focuses or skips tests'
        : undefined,
  ),
  each('a Markdown file has one title', { path: 'docs/a.md', text: '# A\n\n# B\n' }, (file) => {
    if (!file.path.endsWith('.md') || file.path.startsWith('test/')) return undefined
    const titles = file.text.replaceAll(/^```[\s\S]*?^```/gm, '').match(/^# .+$/gm) ?? []
    return titles.length !== 1 && `has ${titles.length} titles`
  }),
  {
    name: 'links between Markdown files lead somewhere',
    badSample: [{ path: 'docs/a.md', text: '# A\n[b](b.md)\n' }],
    problems: (files) => {
      const paths = files.map(({ path }) => path)
      return files
        .filter(({ path }) => path.endsWith('.md'))
        .flatMap(({ path, text }) =>
          [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)[^)]*\)/g)]
            .map((match) => new URL(match[1]!, `file:///${path}`).pathname.slice(1))
            .filter(
              (target) => !paths.some((known) => known === target || known.startsWith(target.replace(/\/?$/, '/'))),
            )
            .map((target) => `${path}: links to ${target}, which is not there`),
        )
    },
  },
  {
    name: 'every folder of src has tests, and every test folder a folder of src',
    badSample: [
      { path: 'src/core/a.ts', text: '' },
      { path: 'test/cores/a.test.ts', text: '' },
    ],
    problems: (files) => {
      const tested = foldersBelow(
        files.filter(({ path }) => path.endsWith('.test.ts')),
        'test',
      )
      const sources = foldersBelow(files, 'src')
      const beside = ['e2e', 'project', 'stack', 'stack-files', 'agents']
      return [
        ...sources.filter((name) => !tested.includes(name)).map((name) => `src/${name} has no test in test/${name}`),
        ...tested
          .filter((name) => !sources.includes(name) && !beside.includes(name))
          .map((name) => `test/${name} tests no folder of src`),
      ]
    },
  },
  {
    name: 'the map in ARCHITECTURE.md lists the folders of src, no more and no fewer',
    badSample: [
      { path: 'src/core/a.ts', text: '' },
      { path: 'ARCHITECTURE.md', text: '### `src/engine/`\n' },
    ],
    problems: (files) => {
      const map = files.find(({ path }) => path === 'ARCHITECTURE.md')?.text ?? ''
      const listed = [...map.matchAll(/^### `src\/([\w-]+)\/`/gm)].map((match) => match[1]!)
      const folders = foldersBelow(files, 'src')
      return [
        ...folders.filter((name) => !listed.includes(name)).map((name) => `src/${name} is not in the map`),
        ...listed
          .filter((name) => !folders.includes(name))
          .map((name) => `the map lists src/${name}, which is not there`),
      ]
    },
  },
  {
    name: 'each invariant I1 to I9 is named where it is kept and where it is tested',
    badSample: [{ path: 'src/core/a.ts', text: '// I1 to I8: I1 I2 I3 I4 I5 I6 I7 I8' }],
    problems: (files) =>
      Array.from({ length: 9 }, (_, index) => `I${index + 1}`).flatMap((name) => {
        const names = ({ text }: ProjectFile): boolean => new RegExp(`\\b${name}\\b`).test(text)
        const inProject = ({ path }: ProjectFile): boolean => path.startsWith('test/project/')
        return [
          ...(files.some((file) => isSource(file) && names(file)) ? [] : [`${name} is named in no file of src`]),
          ...(files.some((file) => isTest(file) && !inProject(file) && names(file))
            ? []
            : [`${name} is named in no test`]),
        ]
      }),
  },
  {
    name: 'npm commands in the documentation exist',
    badSample: [
      { path: 'package.json', text: '{"scripts":{}}' },
      { path: 'README.md', text: '`npm run fly`' },
    ],
    problems: (files) => {
      const manifest = files.find(({ path }) => path === 'package.json')?.text ?? '{}'
      const { scripts = {} } = JSON.parse(manifest) as { scripts?: Record<string, string> }
      const documents = files.filter(({ path }) => /\.(md|ya?ml)$|^\.ci\//.test(path) && !path.startsWith('test/'))
      return documents.flatMap(({ path, text }) =>
        [...text.matchAll(/\bnpm (?:run (?:--silent )?(\w[\w:-]*)|(test)\b)/g)]
          .map((match) => match[1] ?? match[2]!)
          .filter((script) => !(script in scripts))
          .map((script) => `${path}: npm run ${script} is no script of package.json`),
      )
    },
  },
  each('dependencies are pinned exactly', { path: 'package.json', text: '{"dependencies":{"a":"^1.0.0"}}' }, (file) => {
    if (file.path !== 'package.json') return undefined
    const manifest = JSON.parse(file.text) as {
      dependencies?: Record<string, string>
      devDependencies?: Record<string, string>
    }
    const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
    )
    return loose.length > 0 && `${loose.map(([name]) => name).join(', ')} not pinned`
  }),
]

/** No file names this machine: the folder it stands in, or the host that packages come from. */
export function machineTraces(files: readonly ProjectFile[], traces: readonly string[]): string[] {
  return files.flatMap(({ path, text }) =>
    traces.filter((trace) => text.includes(trace)).map((trace) => `${path}: contains ${trace}`),
  )
}
