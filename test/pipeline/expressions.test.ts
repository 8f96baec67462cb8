// The evaluator and its static half: JSON in and out, scope rules, failures that name the expression and the cause.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExpressionError, type ExpressionScope, type NodeView } from '../../src/core/expressions.ts'
import type { Json, JsonObject } from '../../src/core/json.ts'
import { celExpressions, checkExpression } from '../../src/pipeline/expressions.ts'

const view = (fields: Partial<NodeView>): NodeView => ({
  result: null,
  label: null,
  outputs: {},
  failure: null,
  session: null,
  visits: 0,
  attempts: 0,
  ...fields,
})

function scope(
  variables: JsonObject = {},
  nodes: { [id: string]: NodeView } = {},
  status: { [name: string]: boolean } = {},
) {
  const asked: string[] = []
  const value: ExpressionScope = {
    variables,
    node: (id) => (asked.push(id), nodes[id]),
    nodeIds: () => Object.keys(nodes),
    status: (name) => status[name] ?? false,
  }
  return { ...value, asked }
}

const evaluate = (expression: string, at: ExpressionScope = scope()): Json => celExpressions.evaluate(expression, at)

describe('values', () => {
  const at = scope({
    params: {
      tasks: ['api', 'web'],
      n: 3,
      ratio: 0.5,
      big: 2 ** 53 + 2,
      huge: 1e300,
      deep: { a: [{ b: null }] },
      __proto__x: 1,
    },
    item: { name: 'x', constructor: 'c' },
    task: 'api',
  })
  test.each<[string, Json]>([
    ['params.tasks', ['api', 'web']],
    ['params.n + 1', 4],
    ['params.n / 2', 1],
    ['params.ratio', 0.5],
    ['params.big', 2 ** 53 + 2],
    ['params.huge', 1e300],
    ['params.deep', { a: [{ b: null }] }],
    ['params.tasks[1]', 'web'],
    ['params["n"]', 3],
    ['item.constructor', 'c'],
    ['task + "-1"', 'api-1'],
    ['params.tasks.map(t, t + "!")', ['api!', 'web!']],
    ['params.tasks.exists(params, params == "web")', true],
    ['size(params.tasks)', 2],
    ['has(params.absent)', false],
    ['"n" in params', true],
    ['{"a": params.n, "b": ["x", 1]}', { a: 3, b: ['x', 1] }],
    ['timestamp("2026-01-02T03:04:05Z")', '2026-01-02T03:04:05.000Z'],
    ['duration("90s")', '90s'],
    ['3u', 3],
    ['[1, "a", null]', [1, 'a', null]],
    ['params.deep.a[0].b == null', true],
  ])('%s', (expression, expected) => expect(evaluate(expression, at)).toEqual(expected))

  test('any JSON value goes through unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.parse(JSON.stringify(value)) as Json
        expect(evaluate('item', scope({ item: json }))).toEqual(json)
      }),
    )
  })

  test('keys that mean something to JavaScript are plain data', () => {
    const item = JSON.parse('{"__proto__": 1, "constructor": {"prototype": 2}}') as Json
    expect(evaluate('item["__proto__"] + item.constructor.prototype', scope({ item }))).toBe(3)
  })

  test('an integer that JSON cannot hold exactly is an error, not a rounded number', () => {
    expect(() => evaluate('9007199254740993')).toThrow('string()')
    expect(evaluate('string(9007199254740993)')).toBe('9007199254740993')
  })
})

describe('nodes', () => {
  const nodes = {
    plan: view({ result: 'success', label: 'continue', outputs: { n: 2 } }),
    'my-node': view({}),
    other: view({}),
  }
  test.each<[string, Json]>([
    ['nodes.plan.label == "continue"', true],
    ['nodes["my-node"].result', null],
    ['nodes["my-node"].label == "x"', false],
    ['nodes.plan.outputs.n', 2],
    ['has(nodes.other.outputs.n)', false],
    ['nodes[item].result', 'success'],
    ['nodes.exists(id, nodes[id].result == "success")', true],
    ['size(nodes)', 3],
    ['"plan" in nodes', true],
  ])('%s', (expression, expected) => expect(evaluate(expression, scope({ item: 'plan' }, nodes))).toEqual(expected))

  test('only the nodes an expression names are looked up', () => {
    const at = scope({}, nodes)
    evaluate('nodes.plan.label == "continue" && nodes.plan.outputs.n > 1', at)
    expect(at.asked).toEqual(['plan'])
  })

  test('an absent node and an absent output are errors that name them', () => {
    expect(() => evaluate('nodes.nope.result', scope({}, nodes))).toThrow(
      'expression `nodes.nope.result`: there is no node `nope`',
    )
    expect(() => evaluate('nodes[item].result', scope({ item: 'nope' }, nodes))).toThrow('there is no node `nope`')
    expect(() => evaluate('nodes.plan.outputs.absent', scope({}, nodes))).toThrow(
      'there is no `absent`; ask has() first',
    )
  })
})

describe('status functions', () => {
  test('ask the scope of their own evaluation', () => {
    expect(evaluate('success() && !failure()', scope({}, {}, { success: true }))).toBe(true)
    expect(evaluate('success()', scope())).toBe(false)
    expect(evaluate('always()', scope())).toBe(true)
    expect(evaluate('canceled() || false', scope({}, {}, { canceled: true }))).toBe(true)
  })
})

describe('failures', () => {
  test.each([
    ['label == "x"', '`label` is not known here'],
    ['1 +', 'Unexpected token'],
    ['"a" + 1', 'no such overload'],
    ['nope(1)', 'nope'],
    ['1 / 0', 'division by zero'],
    ['b"x"', 'not a JSON value'],
    ['0.0 / 0.0', 'NaN'],
    ['', 'empty'],
  ])('%s', (expression, reason) => {
    expect(() => evaluate(expression)).toThrow(ExpressionError)
    expect(() => evaluate(expression)).toThrow(reason)
    expect(() => evaluate(expression)).toThrow(`expression \`${expression}\``)
  })

  test('text that is no expression never does anything but throw an ExpressionError', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (text) => {
        try {
          evaluate(text)
        } catch (error) {
          expect(error).toBeInstanceOf(ExpressionError)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('very deep expressions are refused, not a crash', () => {
    expect(() => evaluate('('.repeat(20_000) + '1' + ')'.repeat(20_000))).toThrow(ExpressionError)
    expect(() => evaluate('!'.repeat(50_000) + 'true')).toThrow(ExpressionError)
    expect(() => evaluate(Array.from({ length: 20_000 }, () => '1').join(' + '))).toThrow(ExpressionError)
  })
})

describe('static facts', () => {
  test('calls come from the syntax tree, not from the text', () => {
    expect(checkExpression('label == "always()"').calls).toEqual([])
    expect(checkExpression('failure() || always()').calls).toEqual(['always', 'failure'])
    expect(checkExpression('item.map(x, success())').calls).toEqual(['success'])
  })
  test('node ids and variables, without what macros bind', () => {
    const facts = checkExpression(
      'nodes.a.label == params.x && nodes["b-c"].outputs.list.all(i, i > item) && type(env) == map',
    )
    expect(facts.nodeIds).toEqual(['a', 'b-c'])
    expect(facts.variables.toSorted()).toEqual(['env', 'item', 'nodes', 'params'])
    expect(facts.type).toBe('bool')
  })
  test('errors carry the offset', () => {
    expect(checkExpression('label ==').error).toMatchObject({ offset: 8 })
    expect(checkExpression('true && "a" + 1').error).toMatchObject({ offset: 8 })
  })
})
