// Owns: what was spent → tokens and money by model. Whatever the split says, its sums are the ones that were booked: they
// are those of final.json.
import type { Result } from '../core/failure.ts'
import type { Spent } from '../core/node-state.ts'
import type { Cost, Usage } from '../core/outcome.ts'
import { ATTR } from './names.ts'
import type { OpenWork } from './open-work.ts'
import { bounded } from './span-attributes.ts'

/** What something cost that is over. */
export interface SpendRecord {
  /** The node id. */
  readonly node: string
  /** The main model, bounded. */
  readonly model: string | undefined
  readonly models: Usage['models']
  readonly spent: Spent
  readonly source: Cost['source']
  readonly result: Result
}

const TYPES = [
  ['input', 'input'],
  ['cache_read', 'cache_read'],
  ['cache_creation', 'cache_write'],
  ['output', 'output'],
] as const
/** Series that one attempt can make; what further models used counts for the main one. */
const MODELS = 16
/** Sums of money differ by rounding. */
const ROUNDING = 1e-9

export function recordSpend(work: OpenWork, record: SpendRecord): void {
  const { spent, source, result } = record
  const of = (model: string | undefined) => ({
    [ATTR.taskName]: record.node,
    ...(model !== undefined && { [ATTR.genAiRequestModel]: model }),
  })
  for (const [type, key] of TYPES)
    for (const [model, value] of split(record, spent.tokens[key], (models) => models[key]))
      work.record('tokenUsage', value, { ...of(model), [ATTR.genAiTokenType]: type })
  for (const [model, value] of split(record, spent.costUsd, (models) => models.usd ?? 0))
    work.record('cost', value, { ...of(model), [ATTR.costSource]: source, [ATTR.taskRunResult]: result })
  if (spent.unpriced > 0) work.record('unpriced', spent.unpriced, of(unpricedModel(record)))
}

type ModelSpent = NonNullable<Usage['models']>[string]

/**
 * Shares of `total` by model, none of them 0. What the models do not tell is the main one's; when they tell more than
 * there was, all of it is.
 */
function split(
  { model: main, models }: SpendRecord,
  total: number,
  shareOf: (spent: ModelSpent) => number,
): [model: string | undefined, value: number][] {
  const shares = new Map<string | undefined, number>()
  let rest = total
  for (const [name, spent] of Object.entries(models ?? {}).slice(0, MODELS)) {
    const model = bounded(name)
    const share = shareOf(spent)
    shares.set(model, (shares.get(model) ?? 0) + share)
    rest -= share
  }
  if (rest < -ROUNDING) return total > 0 ? [[main, total]] : []
  const [first] = shares.keys()
  const taker = shares.size > 0 && rest <= ROUNDING ? first : main
  shares.set(taker, (shares.get(taker) ?? 0) + rest)
  return [...shares].filter(([, value]) => value > 0)
}

/** The first one of which no price is known. */
function unpricedModel({ model, models }: SpendRecord): string | undefined {
  const name = Object.entries(models ?? {}).find(([, spent]) => spent.usd == null)?.[0]
  return name === undefined ? model : bounded(name)
}
