import { execFileSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { build } from 'vite'
import { beforeAll, describe, test } from 'vitest'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { note, report } from './figures'

const ROUNDS = 5
const ROUND_MS = 1500
const folder = temporaryFolderForFile()

beforeAll(async () => {
  // as it is shipped: in one file, with no test runner between its parts
  await build({
    configFile: false,
    logLevel: 'error',
    ssr: { noExternal: true },
    build: {
      ssr: resolve('test/bench/switch-load.ts'),
      outDir: folder,
      rolldownOptions: { output: { format: 'cjs', entryFileNames: 'switch-load.cjs' } },
    },
  })
})

interface Load {
  bytes: number
  flows?: number
  mirrors?: number
}

interface Measured {
  /** Millions of frames in a second by the clock, and in one of a processor: a busy host gives less than one a second. */
  millions: number[]
  millionsPerCpu: number[]
  secondsPerGb: number[]
}

/** Rounds in processes of their own. */
function measure({ bytes, flows = 1, mirrors = 0 }: Load): Measured {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const args = [bytes, flows, mirrors, ROUND_MS].map(String)
    const text = execFileSync(process.execPath, [join(folder, 'switch-load.cjs'), ...args], { encoding: 'utf8' })
    return JSON.parse(text) as { frames: number; ms: number; cpuMs: number }
  })
  return {
    millions: rounds.map(({ frames, ms }) => frames / ms / 1000),
    millionsPerCpu: rounds.map(({ frames, cpuMs }) => frames / cpuMs / 1000),
    secondsPerGb: rounds.map(({ frames, cpuMs }) => (cpuMs * 1e6) / (frames * bytes)),
  }
}

describe('the switch alone, with the policies of both sides', () => {
  test.each([
    { bytes: 1514, atLeast: 1.5 },
    { bytes: 60, atLeast: 5 },
  ])('frames of $bytes bytes', ({ bytes, atLeast }) => {
    const alone = measure({ bytes })
    report({ name: `frames of ${bytes} bytes a second`, values: alone.millions, unit: ' M', atLeast })
    note({ name: 'the same in a second of processor time', values: alone.millionsPerCpu, unit: ' M' })
    note({ name: 'processor time for a GB', values: alone.secondsPerGb, unit: ' s' })

    const many = measure({ bytes, flows: 32 })
    note({ name: `${bytes} bytes, 32 flows in turn, a second`, values: many.millions, unit: ' M' })

    const mirrored = measure({ bytes, mirrors: 1 })
    note({ name: `${bytes} bytes, mirrored to a third port, a second`, values: mirrored.millions, unit: ' M' })
    note({ name: 'processor time for a GB of them', values: mirrored.secondsPerGb, unit: ' s' })
  })
})
