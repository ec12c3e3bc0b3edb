// A vitest reporter that writes what `npm test` sums up, with the reason of each skip, to $VIVARIUM_TALLY.
import { writeFileSync } from 'node:fs'

export default class TallyReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const tally = { passed: 0, failures: [], skips: [] }
    for (const module of modules) {
      for (const test of module.children.allTests()) count(tally, module, test)
      // a file that could not be loaded, or a set-up that failed: no test fails, they only do not run
      for (const group of [module, ...module.children.allSuites()]) {
        for (const error of group.errors()) tally.failures.push(`${nameOf(group)}: ${firstLine(error.message)}`)
      }
    }
    for (const error of unhandledErrors) tally.failures.push(`outside any test: ${firstLine(error.message)}`)
    if (process.env.VIVARIUM_TALLY) writeFileSync(process.env.VIVARIUM_TALLY, JSON.stringify(tally))
  }
}

function count(tally, module, test) {
  const name = `${module.relativeModuleId} > ${test.fullName}`
  const result = test.result()
  if (result.state === 'passed') tally.passed++
  else if (result.state === 'failed') tally.failures.push(name)
  else tally.skips.push(`${name}: ${result.note ?? 'no reason given'}`)
}

const nameOf = (group) =>
  group.type === 'module' ? group.relativeModuleId : `${group.module.relativeModuleId} > ${group.fullName}`

const firstLine = (text) => String(text).split('\n', 1)[0]
