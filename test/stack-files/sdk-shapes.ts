// Owns: a check of a JSON value against the interfaces that Grafana's SDK declares: TypeScript forgets types at run time
// and a JSON import has no enums, so the declarations are read from the SDK's .d.ts files.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { parseSync } from 'oxc-parser'

const require = createRequire(import.meta.url)
const SDK = path.dirname(path.dirname(require.resolve('@grafana/grafana-foundation-sdk/cog')))

/** The parts of a parsed declaration that matter here. */
interface TypeNode {
  readonly type: string
  readonly [key: string]: unknown
}
type Declaration =
  | { readonly kind: 'interface'; readonly fields: ReadonlyMap<string, { type: TypeNode; optional: boolean }> }
  | { readonly kind: 'enum'; readonly values: ReadonlySet<unknown> }
  | { readonly kind: 'alias'; readonly type: TypeNode }

const modules = new Map<string, ReadonlyMap<string, Declaration>>()

/** Problems of `value` as `typeName` of an SDK module, as `path: what is wrong`; empty when it fits. */
export const problemsOf = (value: unknown, module: string, typeName: string): string[] =>
  check(value, { type: 'named', module, name: typeName }, module, '$')

function declarationsOf(module: string): ReadonlyMap<string, Declaration> {
  const known = modules.get(module)
  if (known) return known
  const file = path.join(SDK, module, 'types.gen.d.ts')
  const { program } = parseSync(file, readFileSync(file, 'utf8'))
  const declared = new Map<string, Declaration>()
  for (const statement of program.body as unknown as TypeNode[]) {
    const declaration = statement['declaration'] as TypeNode | null
    if (declaration) note(declared, declaration)
  }
  modules.set(module, declared)
  return declared
}

function note(declared: Map<string, Declaration>, node: TypeNode): void {
  const name = (node['id'] as { name?: string } | undefined)?.name
  if (name === undefined) return
  if (node.type === 'TSInterfaceDeclaration') {
    const members = (node['body'] as { body: TypeNode[] }).body.filter(({ type }) => type === 'TSPropertySignature')
    const fields = new Map(
      members.map((member) => [keyOf(member), { type: typeOf(member), optional: member['optional'] === true }]),
    )
    declared.set(name, { kind: 'interface', fields })
  } else if (node.type === 'TSEnumDeclaration') {
    const { members } = node['body'] as { members: { initializer: TypeNode }[] }
    declared.set(name, { kind: 'enum', values: new Set(members.map(({ initializer }) => literalOf(initializer))) })
  } else if (node.type === 'TSTypeAliasDeclaration') {
    declared.set(name, { kind: 'alias', type: node['typeAnnotation'] as TypeNode })
  }
}

const keyOf = (member: TypeNode): string => {
  const key = member['key'] as { name?: string; value?: string }
  return key.name ?? key.value ?? ''
}
const typeOf = (member: TypeNode): TypeNode => (member['typeAnnotation'] as { typeAnnotation: TypeNode }).typeAnnotation

function literalOf(node: TypeNode): unknown {
  if (node.type === 'UnaryExpression') return -(node['argument'] as { value: number }).value
  return node['value']
}

function check(value: unknown, type: TypeNode, module: string, at: string): string[] {
  switch (type.type) {
    case 'named':
      return checkNamed(value, type['module'] as string, type['name'] as string, at)
    case 'TSStringKeyword':
      return typeof value === 'string' ? [] : [`${at}: not a string`]
    case 'TSNumberKeyword':
      return typeof value === 'number' ? [] : [`${at}: not a number`]
    case 'TSBooleanKeyword':
      return typeof value === 'boolean' ? [] : [`${at}: neither true nor false`]
    case 'TSNullKeyword':
      return value === null ? [] : [`${at}: not null`]
    case 'TSAnyKeyword':
      return []
    case 'TSParenthesizedType':
      return check(value, type['typeAnnotation'] as TypeNode, module, at)
    case 'TSLiteralType':
      return value === literalOf(type['literal'] as TypeNode) ? [] : [`${at}: another literal`]
    case 'TSArrayType':
      return Array.isArray(value)
        ? value.flatMap((item, index) => check(item, type['elementType'] as TypeNode, module, `${at}[${index}]`))
        : [`${at}: not a list`]
    case 'TSUnionType':
      return checkUnion(value, type['types'] as TypeNode[], module, at)
    case 'TSTypeLiteral':
      return checkFields(value, fieldsOf(type), module, at)
    case 'TSTypeReference':
      return checkReference(value, type, module, at)
    default:
      throw new Error(`${at}: ${type.type} is not known to this check`)
  }
}

function fieldsOf(literal: TypeNode): Map<string, { type: TypeNode; optional: boolean }> {
  return new Map(
    (literal['members'] as TypeNode[]).map((member) => [
      keyOf(member),
      { type: typeOf(member), optional: member['optional'] === true },
    ]),
  )
}

function checkUnion(value: unknown, types: readonly TypeNode[], module: string, at: string): string[] {
  const answers = types.map((type) => check(value, type, module, at))
  // The alternative that fits best says most about what is wrong.
  return answers.toSorted((a, b) => a.length - b.length)[0] ?? []
}

function checkReference(value: unknown, type: TypeNode, module: string, at: string): string[] {
  const name = type['typeName'] as { name?: string; left?: { name: string }; right?: { name: string } }
  if (name.name === 'Record') return typeof value === 'object' && value !== null ? [] : [`${at}: not an object`]
  if (name.name !== undefined) return checkNamed(value, module, name.name, at)
  const owner = name.left?.name ?? ''
  // Queries belong to a data source; all of ours are Prometheus's. A member of an enum is checked as the enum.
  if (owner === 'cog') return checkNamed(value, 'prometheus', 'Dataquery', at)
  if (declarationsOf(module).get(owner)?.kind === 'enum') return checkNamed(value, module, owner, at)
  return checkNamed(value, owner, name.right?.name ?? '', at)
}

function checkNamed(value: unknown, module: string, name: string, at: string): string[] {
  const declared = declarationsOf(module).get(name)
  if (!declared) throw new Error(`${at}: the SDK declares no ${module}.${name}`)
  switch (declared.kind) {
    case 'enum':
      return declared.values.has(value) ? [] : [`${at}: ${JSON.stringify(value)} is no ${name}`]
    case 'alias':
      return check(value, declared.type, module, at)
    case 'interface':
      return checkFields(value, declared.fields, module, at)
  }
}

function checkFields(
  value: unknown,
  fields: ReadonlyMap<string, { type: TypeNode; optional: boolean }>,
  module: string,
  at: string,
): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${at}: not an object`]
  const present = value as Record<string, unknown>
  const missing = [...fields].filter(([name, { optional }]) => !optional && present[name] === undefined)
  return [
    ...missing.map(([name]) => `${at}: ${name} is missing`),
    ...Object.entries(present).flatMap(([name, inner]) => {
      const field = fields.get(name)
      return field ? check(inner, field.type, module, `${at}.${name}`) : [`${at}: ${name} is unknown`]
    }),
  ]
}
