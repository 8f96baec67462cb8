// Owns: what is said of a conversation whose earlier use is known in part only: the difference to it holds the rest of that.

export const AFTER_PART =
  'what its conversation had used before is known in part only: the rest of that is counted here'
