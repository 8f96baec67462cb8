// Owns: parsing every source file of an unpacked package and counting what the files export: node parse.mjs <directory>
// ES modules count `export` statements, CommonJS counts assignments to `exports.x`, `module.exports` and their kind.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseSync, Visitor } from 'oxc-parser'
import { fail, succeed } from './step.mjs'

const [directory] = process.argv.slice(2)
if (directory === undefined) fail('usage: parse.mjs <directory>')

const totals = { files: 0, lines: 0, exports: 0, unparsed: 0 }
for (const name of readdirSync(directory, { recursive: true }).toSorted()) {
  if (!/\.[mc]?[jt]s$/.test(name)) continue
  const text = readFileSync(path.join(directory, name), 'utf8')
  const { module, program, errors } = parseSync(name, text, { sourceType: sourceTypeOf(name) })
  totals.files += 1
  totals.lines += text.split('\n').length
  if (errors.some(({ severity }) => severity === 'Error')) {
    totals.unparsed += 1
    console.error(`${name}: ${errors[0].message}`)
    continue
  }
  totals.exports += module.hasModuleSyntax
    ? module.staticExports.flatMap(({ entries }) => entries).length
    : commonJsExports(program)
}
if (totals.files === 0) fail(`${directory} holds no source file`)
console.log(`${totals.files} files, ${totals.lines} lines, ${totals.exports} exports, ${totals.unparsed} not parsed`)
succeed(totals)

function sourceTypeOf(name) {
  if (/\.m[jt]s$/.test(name)) return 'module'
  return name.endsWith('.cjs') ? 'commonjs' : 'unambiguous'
}

function commonJsExports(program) {
  let count = 0
  new Visitor({
    AssignmentExpression({ left }) {
      if (isExports(left) || (left.type === 'MemberExpression' && isExports(left.object))) count += 1
    },
    // What compilers write for `export { x } from`: Object.defineProperty(exports, 'x', …).
    CallExpression({ callee, arguments: [target, name] }) {
      const defines = callee.type === 'MemberExpression' && callee.property.name === 'defineProperty'
      if (defines && target !== undefined && isExports(target) && name?.value !== '__esModule') count += 1
    },
  }).visit(program)
  return count
}

/** `exports` or `module.exports`. */
function isExports(node) {
  if (node.type === 'Identifier') return node.name === 'exports'
  return node.type === 'MemberExpression' && node.object.name === 'module' && node.property.name === 'exports'
}
