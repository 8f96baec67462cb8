// Owns: decisions that need a person (the label `needs_input`): whether one does, what it asks, which answers there are.
import type { EventOf } from './events.ts'
import { LIMITS } from './limits.ts'
import type { NodeState } from './node-state.ts'
import type { Question } from './outcome.ts'

const LABEL = 'needs_input'
const ANSWER = 'answer'
const REJECT = 'reject'
const QUESTIONS = 20
const OPTIONS = 50

/** Whether a report of this node with this label asks a person (unless a route takes it). */
export const isRequest = ({ def }: NodeState, label: string | undefined): boolean =>
  label === LABEL && def.decision?.includes(LABEL) === true

/** Its latest attempt asks, and nobody has answered yet. */
export const wantsInput = (node: NodeState): boolean =>
  node.answers === undefined && node.attempt?.result === 'success' && isRequest(node, node.attempt.settled?.label)

/** The question is open. */
export const isAsking = (node: NodeState): boolean => node.gate !== undefined && wantsInput(node)

/** The gate that the node itself becomes until a person has answered. */
export function openQuestion(node: NodeState): EventOf<'gate.opened'> {
  const { questions = [], notes } = node.attempt!
  const text = questions.map(({ question }) => question).join('\n')
  const choices = choicesOf(questions)
  return {
    type: 'gate.opened',
    node: node.path,
    visit: node.visits,
    question: text || notes || `${node.path} needs input`,
    choices,
    reject: choices.filter((choice) => choice === REJECT),
    ...(questions.length > 0 && { questions: [...questions] }),
  }
}

/** The values of one question's options; free text (the comment) answers everything else. */
function choicesOf(questions: readonly Question[]): string[] {
  const values = questions.length === 1 ? (questions[0]!.options ?? []).map(({ value }) => value) : []
  const named = [...new Set(values.filter((value) => value.trim() !== ''))]
  return named.length > 0 ? named : [ANSWER, REJECT]
}

/** As they are put on record. */
export function boundQuestions(questions: readonly Question[]): Question[] {
  return questions.slice(0, QUESTIONS).map(({ id, question, context, options }) => ({
    id: cut(id),
    question: cut(question),
    ...(context !== undefined && { context: cut(context) }),
    ...(options && {
      options: options.slice(0, OPTIONS).map(({ label, value, description }) => ({
        label: cut(label, 200),
        value: cut(value, 200),
        ...(description !== undefined && { description: cut(description, 500) }),
      })),
    }),
  }))
}

const cut = (text: string, max: number = LIMITS.messageChars): string =>
  text.length <= max ? text : `${text.slice(0, max - 1)}…`
