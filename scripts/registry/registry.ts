// Owns: the registry as the generator and the validator see it: references resolved, every fault of the YAML named with
// file:line:column. Reads only the texts it is given (and, in `readRegistry`, the files of src/telemetry/registry).
import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import {
  FILES,
  type attributeSchema,
  type definitionGroup,
  type eventGroup,
  type FileContent,
  type FileName,
  type metricGroup,
  type spanGroup,
  type useGroup,
} from './schema.ts'
import { parseFile, type Files, type Parsed, type RegistryTexts } from './yaml-file.ts'

type Definition = z.infer<typeof attributeSchema>
type DefinitionGroup = z.infer<typeof definitionGroup>
type Use = z.infer<typeof useGroup>['attributes'][number]
export type Level = Use['requirement_level']
export type AttributeType = Definition['type']

/** An attribute as it is defined, with the source and stability of its group. */
export type Attribute = Omit<Definition, 'source' | 'stability'> & {
  readonly source: string
  readonly stability: DefinitionGroup['stability']
}
/** An attribute where it is used. */
export interface AttributeUse {
  readonly attribute: Attribute
  readonly type: AttributeType
  readonly level: Level
  readonly failedOnly: boolean
  readonly atEnd: boolean
}
type Resolved<T> = Omit<T, 'attributes' | 'extends'> & {
  /** With those of the groups that it extends. */
  readonly attributes: readonly AttributeUse[]
  readonly own: readonly AttributeUse[]
  readonly extends: readonly string[]
}
/** Attributes that several spans and events have. */
export interface SharedAttributes {
  readonly id: string
  readonly brief: string
  readonly attributes: readonly AttributeUse[]
}
export type Span = Resolved<z.infer<typeof spanGroup>>
export type SpanEvent = Resolved<z.infer<typeof eventGroup>>
export type Metric = Resolved<z.infer<typeof metricGroup>> & {
  /** Those that `boundaries` names. */
  readonly bounds: readonly number[] | undefined
}
export interface Registry {
  readonly manifest: FileContent['manifest']
  readonly groups: readonly { readonly group: DefinitionGroup; readonly attributes: readonly Attribute[] }[]
  readonly attributes: ReadonlyMap<string, Attribute>
  /** In the order in which they are recognized. */
  readonly spans: readonly Span[]
  readonly events: readonly SpanEvent[]
  readonly shared: readonly SharedAttributes[]
  /** What log records have beside the attributes of their event. */
  readonly log: readonly AttributeUse[]
  readonly metrics: readonly Metric[]
  readonly boundaries: FileContent['metrics']['boundaries']
  readonly resource: readonly Attribute[]
}

/** The registry of this project. */
export function readRegistry(change: (texts: RegistryTexts) => RegistryTexts = (texts) => texts): Registry {
  const read = (name: FileName): [string, string] => [
    name,
    readFileSync(new URL(`../../src/telemetry/registry/${name}.yaml`, import.meta.url), 'utf8'),
  ]
  const texts = Object.fromEntries((Object.keys(FILES) as FileName[]).map(read)) as RegistryTexts
  return parseRegistry(change(texts))
}

/** @throws Error naming every fault as `file:line:column message`, one a line */
function parseRegistry(texts: RegistryTexts): Registry {
  const faults: string[] = []
  const files = {
    manifest: parseFile('manifest', texts, faults),
    attributes: parseFile('attributes', texts, faults),
    spans: parseFile('spans', texts, faults),
    events: parseFile('events', texts, faults),
    metrics: parseFile('metrics', texts, faults),
  }
  stopAt(faults)
  const registry = resolve(files as Files, faults)
  stopAt(faults)
  return registry
}

function stopAt(faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(`the telemetry registry is wrong:\n${faults.join('\n')}`)
}

function resolve(files: Files, faults: string[]): Registry {
  const { manifest, attributes, spans, events, metrics } = files
  const groups = attributes.content.groups.map((group) => ({
    group,
    attributes: group.attributes.map((attribute): Attribute => ({
      ...attribute,
      source: attribute.source ?? group.source,
      stability: attribute.stability ?? group.stability,
    })),
  }))
  const defined = definitionsOf(groups, files)
  const resolver = new Resolver(defined)
  const registry: Registry = {
    manifest: manifest.content,
    groups,
    attributes: defined,
    spans: resolver.groups(spans).filter((group) => group.type === 'span'),
    events: resolver.groups(events).filter((group) => group.type === 'event'),
    shared: [...resolver.shared.values()],
    log: resolver.shared.get('attributes.log')?.attributes ?? [],
    metrics: resolver.metrics(metrics),
    boundaries: metrics.content.boundaries,
    resource: groups.filter(({ group }) => group.type === 'resource').flatMap(({ attributes: list }) => list),
  }
  if (faults.length === 0) checkReferences(registry, files)
  return registry
}

/** By id; says which are defined twice or wrongly. */
function definitionsOf(groups: Registry['groups'], { manifest, attributes }: Files): Map<string, Attribute> {
  const sources = new Set(manifest.content.sources.map((source) => source.id))
  const defined = new Map<string, Attribute>()
  const keys = new Set<string>()
  groups.forEach(({ group, attributes: list }, g) => {
    list.forEach((attribute, a) => {
      const { id, key, source } = attribute
      const path = ['groups', g, 'attributes', a]
      if (defined.has(id)) attributes.fault([...path, 'id'], `${id} is defined twice`)
      if (key !== undefined && keys.has(key)) attributes.fault([...path, 'key'], `the key ${key} is used twice`)
      if (!sources.has(source)) attributes.fault(path, `${source} is no source of the manifest`)
      if (id.startsWith('spanwright.') !== (source === 'own'))
        attributes.fault([...path, 'id'], 'only our own names begin with spanwright.')
      if (group.type === 'resource' && attribute.requirement_level === undefined)
        attributes.fault(path, 'a resource attribute needs a requirement_level')
      defined.set(id, attribute)
      if (key !== undefined) keys.add(key)
    })
  })
  return defined
}

type UsingFile = Parsed<'spans'> | Parsed<'events'>
type UsingGroup = FileContent['spans' | 'events']['groups'][number]

/** Replaces references by what they mean. Groups of uses are known to the file they stand in and to those after it. */
class Resolver {
  readonly shared = new Map<string, SharedAttributes>()
  private readonly seen = new Set<string>()
  private readonly defined: ReadonlyMap<string, Attribute>

  constructor(defined: ReadonlyMap<string, Attribute>) {
    this.defined = defined
  }

  groups(file: UsingFile): (Span | SpanEvent)[] {
    const list = file.content.groups as readonly UsingGroup[]
    list.forEach((group, index) => {
      this.once(group.id, file.fault, index)
      const { id, brief } = group
      if (group.type === 'attribute_group')
        this.shared.set(id, { id, brief, attributes: this.uses(group.attributes, file.fault, index) })
    })
    return list.flatMap((group, index) => {
      if (group.type === 'attribute_group') return []
      const { extends: parents = [], attributes } = group
      const inherited = parents.flatMap((id, at) => {
        const known = this.shared.get(id)
        if (!known) file.fault(['groups', index, 'extends', at], `${id} is no group of attributes`)
        return known?.attributes ?? []
      })
      const again = attributes.find((use) => inherited.some((other) => other.attribute.id === use.ref))
      if (again) file.fault(['groups', index, 'attributes'], `${again.ref} is in a group that is extended`)
      const own = this.uses(attributes, file.fault, index)
      return [{ ...group, extends: parents, own, attributes: [...inherited, ...own] }]
    })
  }

  metrics({ content, fault }: Parsed<'metrics'>): Metric[] {
    return content.groups.map((group, index) => {
      this.once(group.id, fault, index)
      const bounds = group.boundaries === undefined ? undefined : content.boundaries[group.boundaries]?.bounds
      if ((group.instrument === 'histogram') !== (bounds !== undefined))
        fault(['groups', index], 'a histogram, and nothing else, has boundaries from the list above')
      const attributes = this.uses(group.attributes, fault, index)
      attributes.forEach((use, at) => {
        if (use.attribute.cardinality === 'high')
          fault(
            ['groups', index, 'attributes', at],
            `${use.attribute.id} has a high cardinality and no place on a metric`,
          )
      })
      return { ...group, extends: [], own: attributes, bounds, attributes }
    })
  }

  private once(id: string, fault: Parsed<FileName>['fault'], index: number): void {
    if (this.seen.has(id)) fault(['groups', index, 'id'], `${id} is defined twice`)
    this.seen.add(id)
  }

  private uses(list: readonly Use[], fault: Parsed<FileName>['fault'], index: number): AttributeUse[] {
    return list.flatMap((use, at) => {
      if (list.findIndex((other) => other.ref === use.ref) !== at)
        fault(['groups', index, 'attributes', at, 'ref'], `${use.ref} is used twice`)
      const attribute = this.defined.get(use.ref)
      if (!attribute) {
        fault(['groups', index, 'attributes', at, 'ref'], `${use.ref} is defined nowhere`)
        return []
      }
      const { requirement_level: level, condition, set_at: setAt } = use
      return [
        {
          attribute,
          type: use.type ?? attribute.type,
          level,
          failedOnly: condition === 'failed',
          atEnd: setAt === 'end',
        },
      ]
    })
  }
}

/** What spans, events and metrics say of each other; that no two have one key. */
function checkReferences(registry: Registry, { spans, events, metrics }: Files): void {
  for (const [groups, file] of [
    [registry.spans, spans],
    [registry.events, events],
    [registry.metrics, metrics],
  ] as const)
    for (const { id, key } of groups.filter(
      (one, at) => groups.findIndex(({ key: other }) => other === one.key) !== at,
    ))
      file.fault(
        ['groups', file.content.groups.findIndex((group) => group.id === id), 'key'],
        `the key ${key} is used twice`,
      )
  const keys = new Set(registry.spans.map((span) => span.key))
  const links = new Set(membersOf(registry.attributes.get('spanwright.link')))
  const indexOf = (file: UsingFile, id: string): number => file.content.groups.findIndex((group) => group.id === id)
  for (const span of registry.spans) {
    const path = ['groups', indexOf(spans, span.id)]
    for (const parent of span.parents)
      if (!keys.has(parent) && parent !== 'none' && parent !== 'inbound')
        spans.fault([...path, 'parents'], `${parent} is no span`)
    for (const link of span.links ?? [])
      if (!links.has(link)) spans.fault([...path, 'links'], `${link} is no kind of link`)
    const placeholders = [...span.name.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!)
    if (placeholders.join() !== Object.keys(span.name_values).join())
      spans.fault([...path, 'name_values'], `the name has the placeholders ${placeholders.join(', ')}`)
    const named = Object.values(span.name_values).map((value) => value.replace('last segment of ', ''))
    for (const id of [...named, span.recognized_by.split('=')[0]!])
      if (id !== 'span' && !span.attributes.some((use) => use.attribute.id === id))
        spans.fault(path, `${id} is no attribute of this span`)
  }
  for (const event of registry.events)
    for (const key of event.spans)
      if (!keys.has(key)) events.fault(['groups', indexOf(events, event.id), 'spans'], `${key} is no span`)
}

/** The values of an enumeration; empty for other types. */
export const membersOf = (attribute: { readonly type: AttributeType } | undefined): string[] =>
  typeof attribute?.type === 'object' ? attribute.type.members.map((member) => member.value) : []
