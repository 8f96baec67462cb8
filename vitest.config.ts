// `npm test`: unit (everything beside src/, from source), e2e (starts the built CLI) and packaging (packs and installs).
// On their own, as they need more than Node: stack (real collector, Jaeger, Prometheus, Alertmanager) and agents (real
// agent clients).
import { defineConfig } from 'vitest/config'

const endToEnd = ['test/e2e/**/*.test.ts']
const packaging = ['test/project/packaging.test.ts', 'test/project/packages.test.ts']
const stack = ['test/stack/**/*.test.ts']
const agents = ['test/agents/**/*.test.ts']
// Twice what tests wait for a condition, which takes long only where something is wrong or the machine is very busy.
const shared = { testTimeout: 60_000, hookTimeout: 60_000 }

export default defineConfig({
  test: {
    reporters: [process.env['CI'] === undefined ? 'default' : 'dot', './scripts/summary-reporter.ts'],
    // A missing snapshot is written nowhere and a focused test is an error, on every machine as in CI.
    update: false,
    allowOnly: false,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...endToEnd, ...packaging, ...stack, ...agents],
          setupFiles: ['test/support/property-seed.ts'],
          ...shared,
        },
      },
      { test: { name: 'e2e', include: endToEnd, globalSetup: ['test/support/built.ts'], ...shared } },
      {
        test: {
          name: 'stack',
          include: stack,
          globalSetup: ['test/support/built.ts'],
          // One stack at a time on a small machine; servers take seconds, their compilation much longer.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 3_600_000,
        },
      },
      {
        test: {
          name: 'agents',
          include: agents,
          globalSetup: ['test/support/built.ts', 'test/agents/support/clients.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 900_000,
        },
      },
      { test: { name: 'packaging', include: packaging, globalSetup: ['test/support/built.ts'], ...shared } },
    ],
  },
})
