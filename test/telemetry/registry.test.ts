// The registry: faults in its YAML are named with their place, its lists are those of the code, its names are the design's.
import { expect, test } from 'vitest'
import { membersOf, readRegistry } from '../../scripts/registry/registry.ts'
import type { RegistryTexts } from '../../scripts/registry/yaml-file.ts'
import { FAILURE_CLASSES, FAILURE_CODES, FAILURE_SOURCES, RESULTS } from '../../src/core/failure.ts'
import { ATTEMPT_KINDS, HOOK_EVENTS } from '../../src/core/pipeline.ts'
import { METRIC } from '../../src/telemetry/metric-names.ts'
import { ATTR, LINK, SPAN_EVENT, spanName } from '../../src/telemetry/names.ts'

const registry = readRegistry()
const valuesOf = (id: string): string[] => membersOf(registry.attributes.get(id)).sort()
const sorted = (list: readonly string[]): string[] => [...list].sort()

test('codes, results, classes and sources are those of the core', () => {
  for (const id of ['error.type', 'spanwright.failure.code', 'spanwright.failure.cause.code', 'spanwright.reason.code'])
    expect(valuesOf(id)).toEqual(sorted(FAILURE_CODES))
  expect(valuesOf('spanwright.failure.class')).toEqual(sorted(Object.keys(FAILURE_CLASSES)))
  expect(valuesOf('spanwright.failure.source')).toEqual(sorted(FAILURE_SOURCES))
  expect(valuesOf('cicd.pipeline.result')).toEqual(sorted(RESULTS))
  expect(valuesOf('cicd.pipeline.task.run.result')).toEqual(sorted(RESULTS))
  expect(valuesOf('spanwright.hook.event')).toEqual(sorted(HOOK_EVENTS))
  expect(valuesOf('spanwright.node.kind')).toEqual(sorted([...ATTEMPT_KINDS, 'fanout', 'gate', 'child', 'wait']))
})

test('constants are what the registry says', () => {
  const keyed = [...registry.attributes.values()].filter(({ key }) => key !== undefined)
  expect(ATTR).toEqual(Object.fromEntries(keyed.map(({ key, id }) => [key, id])))
  expect(SPAN_EVENT).toEqual(Object.fromEntries(registry.events.map(({ key, name }) => [key, name])))
  expect(valuesOf('spanwright.link')).toEqual(sorted(Object.values(LINK)))
  expect(Object.keys(METRIC)).toEqual(registry.metrics.map(({ key }) => key))
  expect(spanName.run('release')).toBe('RUN release')
  expect(spanName.node('build')).toBe('build')
  expect(spanName.branch('split')).toBe('branch split')
  expect(spanName.marker(spanName.attempt('build'))).toBe('build attempt started')
})

test('nothing of high cardinality is on a metric, and everything that is used is described', () => {
  for (const { attributes, metric_name: name } of registry.metrics)
    expect([name, attributes.filter(({ attribute }) => attribute.cardinality === 'high')]).toEqual([name, []])
  const lists = [...registry.spans, ...registry.events, ...registry.metrics].flatMap(({ attributes }) => attributes)
  const used = new Set([...lists, ...registry.log].map(({ attribute }) => attribute.id))
  const defined = [...registry.attributes.keys()].filter((id) => !registry.resource.some((of) => of.id === id))
  expect(defined.filter((id) => !used.has(id) && id !== 'spanwright.link')).toEqual([])
})

const changed =
  (file: keyof RegistryTexts, from: string, to: string) =>
  (texts: RegistryTexts): RegistryTexts => {
    expect(texts[file]).toContain(from)
    return { ...texts, [file]: texts[file].replace(from, to) }
  }
const wrong: readonly [fault: string, change: (texts: RegistryTexts) => RegistryTexts, message: RegExp][] = [
  ['no YAML', changed('events', 'groups:', 'groups: ['), /^events\.yaml:\d+:\d+ /m],
  ['a word that is none', changed('spans', 'span_kind: server', 'kind: server'), /^spans\.yaml:\d+:\d+ .*"kind"/m],
  ['a type that is none', changed('attributes', 'type: string', 'type: text'), /^attributes\.yaml:\d+:15 Invalid/m],
  [
    'an attribute twice',
    changed('attributes', 'id: process.pid', 'id: error.type'),
    /^attributes\.yaml:\d+:\d+ error\.type is defined twice/m,
  ],
  ['a key twice', changed('attributes', 'key: processPid', 'key: errorType'), /the key errorType is used twice/],
  ['a source that is none', changed('attributes', 'source: own', 'source: mine'), /mine is no source of the manifest/],
  [
    'our prefix on a borrowed name',
    changed('attributes', 'id: process.pid', 'id: spanwright.pid'),
    /only our own names/,
  ],
  [
    'a reference into nothing',
    changed('metrics', 'ref: error.type', 'ref: error.kind'),
    /^metrics\.yaml:\d+:\d+ error\.kind is defined nowhere/m,
  ],
  [
    'a reference twice',
    changed('metrics', 'ref: cicd.pipeline.run.state', 'ref: cicd.pipeline.name'),
    /cicd\.pipeline\.name is used twice/,
  ],
  [
    'an id on a metric',
    changed('metrics', 'ref: cicd.pipeline.run.state', 'ref: cicd.pipeline.run.id'),
    /cicd\.pipeline\.run\.id has a high cardinality/,
  ],
  [
    'a histogram without buckets',
    changed('metrics', '    boundaries: duration\n', ''),
    /a histogram, and nothing else, has boundaries/,
  ],
  [
    'a metric key twice',
    changed('metrics', 'key: attempts\n', 'key: retries\n'),
    /^metrics\.yaml:\d+:10 the key retries is used twice/m,
  ],
  [
    'a group that is none',
    changed('spans', 'extends: [attributes.common', 'extends: [attributes.all'),
    /attributes\.all is no group/,
  ],
  ['a parent that is none', changed('spans', 'parents: [node]', 'parents: [step]'), /step is no span/],
  ['a link that is none', changed('spans', 'links: [retry_of]', 'links: [again]'), /again is no kind of link/],
  [
    'a placeholder without a value',
    changed('spans', "name: 'RUN {pipeline}'", "name: 'RUN {name}'"),
    /the name has the placeholders name/,
  ],
  ['an event on no span', changed('events', 'spans: [attempt]', 'spans: [try]'), /try is no span/],
]
test.each(wrong)('%s is named with its place', (_fault, change, message) => {
  expect(() => readRegistry(change)).toThrow(message)
})
