// Three projects: unit (everything beside src/, from source), e2e (starts the built CLI) and packaging
// (packs and installs). `npm test` runs all three.
import { defineConfig } from 'vitest/config'

const endToEnd = ['test/e2e/**/*.test.ts']
const packaging = ['test/project/packaging.test.ts', 'test/project/packages.test.ts']
const shared = { testTimeout: 20_000, hookTimeout: 60_000 }

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
          exclude: [...endToEnd, ...packaging],
          setupFiles: ['test/support/property-seed.ts'],
          ...shared,
        },
      },
      { test: { name: 'e2e', include: endToEnd, globalSetup: ['test/support/built.ts'], ...shared } },
      { test: { name: 'packaging', include: packaging, globalSetup: ['test/support/built.ts'], ...shared } },
    ],
  },
})
