// Declared variables in expressions: those of the defaults and of the node, the node's own first, filled in themselves.
import { expect, test } from 'vitest'
import { play } from '../support/play.ts'

test('an expression sees declared variables, whose own expressions see everything but them', async () => {
  const world = await play(
    `params: { who: { type: string, default: you } }
defaults: { env: { A: outer, B: "for \${{ params.who }}" } }
nodes: [{ id: a, env: { A: inner }, run: "echo \${{ env.A }} \${{ env.B }}" }]`,
    { a: ['ok'] },
  )
  expect(world.events('attempt.started')).toMatchObject([{ inputs: { 'env.A': 'inner', 'env.B': 'for you' } }])
})
