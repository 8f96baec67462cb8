// Owns: docs/alerts/*.md → collector/runbooks/*.html, the pages that the links of alerts lead to; Prometheus serves them.
// Knows the little Markdown those pages are written in and refuses the rest, so that nothing is shown wrong.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const SOURCE = path.join(root, 'docs/alerts')
const TARGET = path.join(root, 'collector/runbooks')

/** File name → HTML, for every page but the index. Throws on Markdown it does not know, naming file and line. */
export function runbooks(): ReadonlyMap<string, string> {
  const pages = readdirSync(SOURCE).filter((name) => name.endsWith('.md') && name !== 'README.md')
  return new Map(
    pages.toSorted().map((name) => {
      try {
        return [name.replace(/\.md$/, '.html'), runbook(readFileSync(path.join(SOURCE, name), 'utf8'), new Set(pages))]
      } catch (error) {
        throw new Error(`docs/alerts/${name}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        })
      }
    }),
  )
}

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}' +
  'code,pre{font:14px/1.45 ui-monospace,monospace;background:#f2f2f4;border-radius:4px}code{padding:0 .25em}' +
  'pre{padding:.75rem 1rem;overflow-x:auto}pre code{padding:0}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}' +
  '@media(prefers-color-scheme:dark){body{color:#ddd;background:#17181c}code,pre{background:#26282e}a{color:#8ab4f8}}'

function runbook(markdown: string, pages: ReadonlySet<string>): string {
  const title = /^# (.+)\n/.exec(markdown)?.[1]
  if (title === undefined) throw new Error('line 1 is no heading')
  const body = blocks(markdown.split('\n'), pages).join('\n')
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
${body}
</html>
`
}

function blocks(lines: readonly string[], pages: ReadonlySet<string>): string[] {
  const html: string[] = []
  let at = 0
  /** Takes the lines from here on for which `goesOn` holds. */
  const take = (goesOn: (line: string) => boolean): string[] => {
    const from = at
    while (at < lines.length && goesOn(lines[at]!)) at += 1
    return lines.slice(from, at)
  }
  while (at < lines.length) {
    const line = lines[at]!
    const heading = /^(#{1,2}) (.+)$/.exec(line)
    if (line === '') at += 1
    else if (heading) {
      html.push(`<h${heading[1]!.length}>${inline(heading[2]!, pages)}</h${heading[1]!.length}>`)
      at += 1
    } else if (line.startsWith('```')) {
      at += 1
      html.push(`<pre><code>${escaped(take((next) => next !== '```').join('\n'))}</code></pre>`)
      at += 1
    } else if (line.startsWith('- ')) {
      const items = take((next) => /^(- | {2}\S)/.test(next)).join('\n')
      const each = items.split(/^- /m).slice(1)
      html.push(`<ul>\n${each.map((item) => `<li>${inline(joined(item), pages)}</li>`).join('\n')}\n</ul>`)
    } else if (/^[A-Z`*[]/.test(line)) {
      html.push(`<p>${inline(take((next) => next !== '').join(' '), pages)}</p>`)
    } else throw new Error(`line ${at + 1} is no paragraph, heading, list or code: ${line}`)
  }
  return html
}

const joined = (item: string): string => item.trim().replaceAll(/\n {2}/g, ' ')

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

/** Code, emphasis and links to other pages; what looks like other Markdown is refused. */
function inline(text: string, pages: ReadonlySet<string>): string {
  return text
    .split(/(`[^`]+`)/)
    .map((part) => {
      if (part.startsWith('`') && part.length > 1) return `<code>${escaped(part.slice(1, -1))}</code>`
      const html = escaped(part)
        .replaceAll(/\[([^\]]+)\]\(([^)]+)\)/g, (_, label: string, target: string) => {
          if (!pages.has(target)) throw new Error(`link to ${target}, which is no other page here`)
          return `<a href="${target.replace(/\.md$/, '.html')}">${label}</a>`
        })
        .replaceAll(/\*([^*]+)\*/g, '<em>$1</em>')
      if (/[*`[\]]|__/.test(html)) throw new Error(`not understood: ${part}`)
      return html
    })
    .join('')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(TARGET, { recursive: true, force: true })
  mkdirSync(TARGET, { recursive: true })
  for (const [name, html] of runbooks()) writeFileSync(path.join(TARGET, name), html)
}
