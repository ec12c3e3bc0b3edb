/** Everything `npm test` runs, in order: cheap and telling first. */

/** A check is one command that passes or fails: `[file in node_modules, ...arguments]`. */
export const CHECKS = {
  types: ['vue-tsc/bin/vue-tsc.js', '--noEmit'],
  lint: ['eslint/bin/eslint.js', '.', '--max-warnings', '0'],
  format: ['prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'],
  layers: ['dependency-cruiser/bin/dependency-cruise.mjs', 'src-main', 'src-renderer', 'vmm', 'storage'],
}

/** The vitest projects: test/<name>/. */
export const SUITES = ['style', 'unit', 'parity', 'guest', 'app']
