// `npm test [-- name…]`: installs and builds what is missing, runs every check and suite, and closes with one line.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build, buildIfNeeded } from './build.mjs'
import { installPackages, requireNode } from './environment.mjs'
import { root } from './root.mjs'
import { CHECKS, SUITES } from './suites.mjs'
import { installSystemPackages } from './system-packages.mjs'

/** A suite that takes longer hangs. */
const SUITE_TIMEOUT_MS = 45 * 60_000

const known = [...Object.keys(CHECKS), ...SUITES]
const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`There is no suite '${unknown[0]}'. There are: ${known.join(', ')}.`)
  process.exit(2)
}

requireNode()
installPackages()
installSystemPackages()
await (existsSync(join(root, '.vite/build/main.js')) ? buildIfNeeded() : build())

/** One entry for each check and suite: `{ name, passed, failures: [text], skips: [text], seconds }`. */
const outcomes = (asked.length > 0 ? known.filter((name) => asked.includes(name)) : known).map(run)
report(outcomes)
process.exit(outcomes.some(({ failures }) => failures.length > 0) ? 1 : 0)

function run(name) {
  console.log(`\n── ${name} ──`)
  const started = Date.now()
  const outcome = name in CHECKS ? runCheck(name) : runSuite(name)
  return { name, ...outcome, seconds: (Date.now() - started) / 1000 }
}

function runCheck(name) {
  const [file, ...args] = CHECKS[name]
  const passed = node(file, args)
  return { passed: passed ? 1 : 0, failures: passed ? [] : [name], skips: [] }
}

function runSuite(name) {
  const tally = join(root, '.vite', `tally-${name}.json`)
  mkdirSync(join(root, '.vite'), { recursive: true })
  rmSync(tally, { force: true })
  const reporters = ['--reporter=default', `--reporter=${join(root, 'scripts/tally-reporter.mjs')}`]
  const passed = node('vitest/vitest.mjs', ['run', '--project', name, '--passWithNoTests', ...reporters], {
    VIVARIUM_TALLY: tally,
  })
  const counted = existsSync(tally) ? JSON.parse(readFileSync(tally, 'utf8')) : { passed: 0, failures: [], skips: [] }
  // vitest itself failed: a crash, a timeout, an error outside any test
  if (!passed && counted.failures.length === 0) counted.failures.push(`${name}: the suite did not come to its end`)
  return counted
}

/** Runs a program of node_modules, its output shown; whether it succeeded. */
function node(file, args, env = {}) {
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules', file), ...args], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
    timeout: SUITE_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  return status === 0
}

function report(all) {
  const total = (count) => all.reduce((sum, outcome) => sum + count(outcome), 0)
  console.log('\n── summary ──')
  for (const { name, passed, failures, skips, seconds } of all) {
    const counts = `${passed} passed, ${failures.length} failed, ${skips.length} skipped`
    console.log(`${failures.length > 0 ? 'FAIL' : 'ok  '}  ${name.padEnd(8)}${counts}  (${seconds.toFixed(1)} s)`)
  }
  for (const { skips } of all) for (const skip of skips) console.log(`skipped: ${skip}`)
  for (const { failures } of all) for (const failure of failures) console.log(`failed: ${failure}`)
  const passed = total((outcome) => outcome.passed)
  const failed = total((outcome) => outcome.failures.length)
  const skipped = total((outcome) => outcome.skips.length)
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
}
