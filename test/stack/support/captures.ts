// Owns: blocks of a documentation page that are the real output of something: found by name, written anew, or compared
// with what differs from run to run (ids, times, durations, the order of lines) taken out.
//
// A block is `<!-- capture: name -->` and the fenced code after it.
import { readFileSync, writeFileSync } from 'node:fs'

/** What was seen, by name of the block. */
export type Captures = Readonly<Record<string, string>>

const BLOCK = /<!-- capture: (\S+) -->\n```(\w*)\n([\s\S]*?)\n```/g

/** Blocks of a page by name, in their order. */
export function blocksOf(file: string): Captures {
  return Object.fromEntries([...readFileSync(file, 'utf8').matchAll(BLOCK)].map(([, name, , text]) => [name, text]))
}

/** Puts what was seen into the blocks of a page. Blocks that nothing was seen for stay. */
export function writeBlocks(file: string, captures: Captures): void {
  const page = readFileSync(file, 'utf8')
  const written = page.replaceAll(BLOCK, (block, name: string, language: string) =>
    captures[name] === undefined ? block : `<!-- capture: ${name} -->\n\`\`\`${language}\n${captures[name]}\n\`\`\``,
  )
  writeFileSync(file, written)
}

const CHANGING: readonly (readonly [RegExp, string])[] = [
  // The first 10 characters of a run id stand for it.
  [/\b0[0-9A-HJKMNP-TV-Z]{25}\b|\b0[0-9A-HJKMNP-TV-Z]{9}\b/g, '<run>'],
  [/\b[0-9a-f]{32}\b/g, '<trace>'],
  [/\b[0-9a-f]{16}\b/g, '<span>'],
  [/\d{4}-\d{2}-\d{2}[T ]/g, ''],
  [/\b\d{2}:\d{2}(:\d{2})?(\.\d+)?Z?/g, '<time>'],
  [/\b\d{13,16}\b/g, '<epoch>'],
  [/\b(\d+m )?\d+(\.\d+)?m?s\b/g, '<duration>'],
  [/\bpid \d+/g, 'pid <pid>'],
  [/\bdelay_ms +\d+/g, 'delay_ms <ms>'],
  [/\b\d+ spans\b/g, '<n> spans'],
  // Cut where the directory has a long name.
  [/^ files .*$/gm, 'files <directory>'],
  [/[█░─]+/g, '<bar>'],
  [/[ \t]+/g, ' '],
]

/** Lines of a text without what changes, sorted: branches end in any order. */
export function stableLines(text: string): string[] {
  return CHANGING.reduce((changed, [pattern, by]) => changed.replaceAll(pattern, by), text)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .toSorted()
}

/** A table for people: columns as wide as their widest cell. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((_, column) => Math.max(...[heading, ...rows].map((row) => row[column]?.length ?? 0)))
  return [heading, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
