import { spawnSync } from 'node:child_process'
import { root } from './root.mjs'

/** `npm run bench`: the figures of SPECIFICATION.md, each measured in this run. */
const build = spawnSync(process.execPath, ['scripts/build.mjs', '--if-needed'], { cwd: root, stdio: 'inherit' })
if (build.status !== 0) process.exit(build.status ?? 1)

const args = [
  'node_modules/vitest/vitest.mjs',
  'run',
  '--project',
  'bench',
  '--disable-console-intercept',
  ...process.argv.slice(2),
]
const bench = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
process.exit(bench.status ?? 1)
