//! The browser tests: real Chromium against `TIDEWIRE_URL`, or against the scripted server in `e2e/support` without it.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['e2e/**/*.e2e.ts'],
    environment: 'node',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A busy machine is slow, not wrong.
    expect: { poll: { timeout: 20_000 } },
    // One browser and one server at a time: the tests cut connections and would disturb each other.
    fileParallelism: false,
  },
});
