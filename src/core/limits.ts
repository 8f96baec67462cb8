// Owns: every bound that the core, the journal and the effects keep (I9). One place, so that "is this bounded?"
// has one answer. Sizes are bytes unless the name says otherwise, durations milliseconds.

export const LIMITS = {
  /** One journal line, newline included. */
  entryBytes: 256 * 1024,
  /** Output text kept inline in an event or a failure's details. */
  tailBytes: 64 * 1024,
  /** Tail kept in a failure's `details` (a failure travels up through every level). */
  failureTailBytes: 4 * 1024,
  /** `message` of a failure. */
  messageChars: 1_000,
  /** One log stream of one attempt. */
  logBytes: 64 * 1024 * 1024,
  /** One expanded expression (a Linux environment string is at most 128 KiB). */
  expressionBytes: 128 * 1024,
  /** A status, outcome or outputs file that a step wrote. */
  outcomeFileBytes: 1024 * 1024,
  /** Visits of one node when the pipeline names none. */
  visits: 20,
  /** Attempts of one visit, whatever the retry policy says. */
  attempts: 1_000,
  /** Lost attempts of one visit in a row before it fails. */
  lostInARow: 3,
  /** Waits for a limit per visit, and their total length. */
  limitWaits: 3,
  limitWaitMs: 24 * 3_600_000,
  /** Progress entries: at most one per attempt in this time. */
  progressIntervalMs: 5_000,
  /** Tool calls, and model calls, of one attempt that are put on record one by one. */
  callsOnRecord: 2_000,
  /** A file of an attempt that is read again as JSON; agent.json holds up to 2,000 tool calls with input and output. */
  recordFileBytes: 64 * 1024 * 1024,
  /** Ids and names that a client gives: of calls, tools, models, conversations. */
  nameChars: 200,
  /** Models of one attempt that are told apart; what further ones spent is counted together. */
  models: 50,
  /** Input of a tool call as agent.json and captured content show it. */
  toolInputBytes: 4 * 1024,
  /** One line of a client's stream; a longer one is noise. */
  streamLineBytes: 16 * 1024 * 1024,
  /** What is read of one file that a client writes beside its output. */
  sideFileBytes: 256 * 1024 * 1024,
  /** One answer of a provider to the `api` agent as it comes, one line of it, and one that tells an error. */
  answerBytes: 64 * 1024 * 1024,
  answerLineBytes: 8 * 1024 * 1024,
  answerErrorBytes: 1024 * 1024,
  /** Its text with the inputs of its tools, its tool calls, and how many of them are run. */
  answerChars: 4 * 1024 * 1024,
  answerCalls: 1_000,
  answerCallsRun: 100,
  /** Final text of an agent in agent.json. */
  finalTextBytes: 256 * 1024,
  /** A prompt, with everything that was added to it. */
  promptBytes: 1024 * 1024,
  /** What a retry context may hold in all, and one earlier output in it. */
  retryContextBytes: 32 * 1024,
  retryOutputBytes: 4 * 1024,
  /** Lines of the summary of what other nodes did. */
  historyLines: 20,
  /** Conversations whose totals are remembered. */
  sessions: 1_000,
  /** Attempts of a decision that end without a valid one, when the pipeline names no retry policy. */
  decisionAttempts: 3,
  /** Branches of one fan-out. */
  branches: 100_000,
  /** Depth of child pipelines. */
  childDepth: 8,
  /** Nesting of fan-outs and lists of nodes. */
  nestingDepth: 16,
  /** Nodes of one pipeline file, inner lists included. */
  nodes: 10_000,
  /** A pipeline file, and what YAML aliases may expand to. */
  pipelineBytes: 1024 * 1024,
  yamlAliases: 100,
  /** Causes kept in one failure. */
  causes: 10,
  /** Nodes listed in final.json. */
  finalNodes: 1_000,
  /** Distinct failure signatures remembered per node path. */
  signaturesPerPath: 1_000,
  /** Entries that decide one turn may produce before it is called a loop. */
  cascade: 10_000_000,
  /** Links on one span. */
  spanLinks: 100,
  /** Default durations. */
  attemptTimeoutMs: 3_600_000,
  agentStallMs: 600_000,
  agentStartMs: 60_000,
  agentLoopRepeats: 8,
  agentLingerMs: 5_000,
  /** `--version` of an agent client (the first start of one may read hundreds of MB), and a cheap prompt of the preflight. */
  agentVersionMs: 20_000,
  agentProbeMs: 60_000,
  graceMs: 5_000,
  checkTimeoutMs: 600_000,
  hookTimeoutMs: 60_000,
  hookAfterCancelMs: 10_000,
  cancelCleanupMs: 60_000,
  maxParallel: 8,
  breaker: 3,
  /** Share of a budget at which it is announced. */
  budgetWarning: 0.8,
} as const
