// Owns: what a PromQL expression talks about: its series with the labels it asks of them, its functions, its mistakes.
// Parsed with Prometheus's own grammar.
import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'

export interface Selection {
  /** Undefined for a selector without a name. */
  readonly series: string | undefined
  /** Label → operator and value. */
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[]
  /** Functions and aggregations around it, innermost first. */
  readonly inside: readonly string[]
}
export interface ParsedQuery {
  readonly errors: readonly string[]
  readonly selections: readonly Selection[]
  /** Labels in by, without, on, ignoring, group_left, group_right, and those that label_replace reads. */
  readonly labels: readonly string[]
  /** What is divided by. */
  readonly divisors: readonly string[]
}

export function parsePromql(query: string): ParsedQuery {
  const textOf = ({ from, to }: { from: number; to: number }): string => query.slice(from, to)
  const errors: string[] = []
  const selections: Selection[] = []
  const labels: string[] = []
  const divisors: string[] = []
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) errors.push(`at ${node.from}: ${query.slice(Math.max(0, node.from - 20), node.to + 20)}`)
      if (node.name === 'GroupingLabels')
        labels.push(...node.node.getChildren('LabelName').map((label: SyntaxNode) => textOf(label)))
      if (node.name === 'FunctionCall' && textOf(node).startsWith('label_replace(')) {
        const strings = node.node.getChild('FunctionCallBody')?.getChildren('StringLiteral') ?? []
        labels.push(unquoted(textOf(strings[2] ?? { from: 0, to: 0 })))
      }
      if (node.name === 'Div') divisors.push(textOf(node.node.parent?.lastChild ?? node))
      if (node.name === 'VectorSelector') selections.push(selectionOf(node.node, textOf))
    },
  })
  return { errors, selections, labels, divisors }
}

function selectionOf(node: SyntaxNode, textOf: (node: { from: number; to: number }) => string): Selection {
  const name = node.getChild('Identifier')
  const matchers = (node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []).map((matcher) => ({
    label: textOf(matcher.getChild('LabelName') ?? matcher),
    operator: textOf(matcher.getChild('MatchOp') ?? matcher),
    value: unquoted(textOf(matcher.getChild('StringLiteral') ?? matcher)),
  }))
  const inside: string[] = []
  for (let parent = node.parent; parent !== null; parent = parent.parent) {
    const called = parent.name === 'FunctionCall' ? parent.getChild('FunctionIdentifier') : null
    if (called !== null) inside.push(textOf(called))
    const aggregated = parent.name === 'AggregateExpr' ? parent.getChild('AggregateOp') : null
    if (aggregated !== null) inside.push(textOf(aggregated))
  }
  return { series: name === null ? undefined : textOf(name), matchers, inside }
}

const unquoted = (text: string): string => text.slice(1, -1)
