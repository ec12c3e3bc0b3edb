import vue from '@vitejs/plugin-vue'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

/** Suites that boot guests or drive browsers: one file at a time, and patient. */
const slow = { fileParallelism: false, testTimeout: 300_000, hookTimeout: 300_000, teardownTimeout: 60_000 }
const quick = { testTimeout: 20_000, hookTimeout: 20_000 }

function suite(name: string, options: TestProjectInlineConfiguration['test']): TestProjectInlineConfiguration {
  return { plugins: [vue()], test: { name, include: [`test/${name}/**/*.test.ts`], pool: 'forks', ...options } }
}

export default defineConfig({
  test: {
    projects: [
      suite('unit', quick),
      suite('style', { ...quick, testTimeout: 120_000 }),
      suite('parity', slow),
      suite('guest', slow),
      suite('app', slow),
      suite('bench', { ...slow, testTimeout: 1_800_000 }),
    ],
  },
})
