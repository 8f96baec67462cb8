// Owns: decisions that a step tells in its text: how it is asked for one, and what a block means, be it a plain label or one
// of the dispositions with fields of their own. What follows from a label is the core's.
import type { FailureReport, FailureSource } from '../core/failure.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { Outcome, Question } from '../core/outcome.ts'
import { lastDisposition } from './fenced-json.ts'
import { reason, shortened } from './reason.ts'

export type Decided = Pick<Outcome, 'label' | 'notes' | 'next' | 'outputs' | 'questions'>

/** What is asked besides the label. */
const FIELDS: { readonly [disposition: string]: string } = {
  blocked: '"block_on": what it waits for',
  decompose: '"subtasks": a list of the tasks to do instead, each complete in itself',
  needs_input:
    '"questions": [{"id": …, "question": …, "context": …, "options": [{"label": …, "value": …, "description": …}]}]',
}

/** How a decision has to be told, for the step that has to tell it. */
export function dispositionForm(labels: readonly string[], targets: readonly string[]): string {
  const fields = labels.flatMap((label) => {
    if (label === 'route' && targets.length > 0) return [`- \`route\`: also "workflow": one of ${quoted(targets)}`]
    return Object.hasOwn(FIELDS, label) ? [`- \`${label}\`: also ${FIELDS[label]}`] : []
  })
  return [
    'End your answer with one fenced JSON block that holds your decision. Without it your work counts as failed.',
    `\`\`\`json\n{"disposition": "${labels[0] ?? ''}", "reason": "one sentence"}\n\`\`\``,
    `\`disposition\` is one of ${quoted(labels)}.${fields.length > 0 ? `\n${fields.join('\n')}` : ''}`,
  ].join('\n\n')
}

/**
 * The decision of a text (its last fenced JSON block) or of a structured answer; undefined: there is none.
 * `invalid_output` quotes what was found and names what was expected, so that the next attempt can do better.
 */
export function decisionOf(
  text: string,
  structured: Json | undefined,
  labels: readonly string[],
  source: FailureSource,
): Decided | { readonly failure: FailureReport } | undefined {
  const found = structured !== undefined && saysLabel(structured) ? { value: structured } : lastDisposition(text)
  if (!found) return undefined
  const invalid = (problem: string): { failure: FailureReport } => ({
    failure: reason('invalid_output', `${problem}; expected one of ${quoted(labels)}`, source, {
      text: shortened(text.slice(-500), 500),
      labels,
    }),
  })
  if ('problem' in found) return invalid(found.problem)
  const { value } = found
  const said = value['disposition'] ?? value['label']
  if (typeof said !== 'string') return invalid('the decision has no disposition or label')
  const label = labels.find((known) => known === said.trim()) ?? labels.find((known) => slug(known) === slug(said))
  // Messages leave the machine: a name may, a sentence of the answer may not.
  if (label === undefined)
    return invalid(LABEL.test(said) ? `the decision is \`${said}\`` : 'the disposition is none of the labels')
  const message = MESSAGE_KEYS.map((key) => value[key]).find((told) => typeof told === 'string' && told !== '')
  const fields = fieldsOf(label, value)
  if ('problem' in fields)
    return {
      failure: reason('invalid_output', `the decision \`${label}\` ${fields.problem}`, source, { decision: value }),
    }
  return { label, ...(typeof message === 'string' ? { notes: message } : {}), ...fields }
}

const LABEL = /^[\w-]{1,40}$/
const MESSAGE_KEYS = ['message', 'reason', 'summary', 'notes'] as const

const saysLabel = (value: Json): value is JsonObject =>
  isJsonObject(value) && (typeof value['disposition'] === 'string' || typeof value['label'] === 'string')

const slug = (label: string): string =>
  label
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, '_')

const quoted = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ')

/** What the dispositions with a meaning of their own bring along. */
function fieldsOf(label: string, value: JsonObject): Omit<Decided, 'label' | 'notes'> | { readonly problem: string } {
  switch (label) {
    case 'route': {
      const workflow = value['workflow'] ?? value['next'] ?? value['to']
      if (workflow === undefined || workflow === null) return {}
      return typeof workflow === 'string' && workflow !== ''
        ? { next: workflow }
        : { problem: 'has a workflow that is no text' }
    }
    case 'decompose': {
      const subtasks = value['subtasks']
      if (Array.isArray(subtasks) && subtasks.length > 0) return { outputs: { subtasks } }
      return { problem: 'has no subtasks: expected "subtasks": a list that is not empty' }
    }
    case 'needs_input': {
      const questions = questionsOf(value['plan_questions'] ?? value['questions'])
      return questions
        ? { questions }
        : { problem: 'has no questions: expected "questions": [{"id": …, "question": …}]' }
    }
    case 'blocked': {
      const blockOn = value['block_on']
      return blockOn === undefined || blockOn === null ? {} : { outputs: { block_on: blockOn } }
    }
    default:
      return {}
  }
}

function questionsOf(given: Json | undefined): Question[] | undefined {
  if (!Array.isArray(given) || given.length === 0) return undefined
  const questions: Question[] = []
  for (const [index, item] of (given as readonly Json[]).entries()) {
    const asked = typeof item === 'string' ? { question: item } : item
    if (!isJsonObject(asked) || typeof asked['question'] !== 'string' || asked['question'] === '') return undefined
    const { id, question, context, options } = asked
    questions.push({
      id: typeof id === 'string' && id !== '' ? id : `q${index + 1}`,
      question,
      ...(typeof context === 'string' && context !== '' ? { context } : {}),
      ...(Array.isArray(options) && options.length > 0
        ? { options: (options as readonly Json[]).flatMap(optionOf) }
        : {}),
    })
  }
  return questions
}

type Option = NonNullable<Question['options']>[number]

/** A text stands for itself; what is neither text nor has a name is no option. */
function optionOf(given: Json): Option[] {
  if (typeof given === 'string') return [{ label: given, value: given }]
  if (!isJsonObject(given)) return []
  const { label, value, description } = given
  const name = typeof label === 'string' ? label : typeof value === 'string' ? value : undefined
  if (name === undefined) return []
  return [
    {
      label: name,
      value: typeof value === 'string' ? value : name,
      ...(typeof description === 'string' ? { description } : {}),
    },
  ]
}
