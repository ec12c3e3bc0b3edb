import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const SOURCES = ['src-main', 'src-renderer', 'vmm', 'storage', 'test', 'scripts', 'bin']
const CODE = /\.(ts|mts|cts|js|mjs|cjs|vue|css)$/
const LINE_LIMIT = 320
/** File → why it may be longer. */
const LONG_FILES: Record<string, string> = {}
const FORBIDDEN_NAMES = ['utils', 'util', 'common', 'helpers', 'helper', 'shared', 'misc']
/** Folders and file, so `src-main/cli/run.ts`. */
const DEPTH_LIMIT = 3

const files = SOURCES.flatMap(filesBelow)
const code = files.filter((file) => CODE.test(file))

describe('the house', () => {
  test('files are short', () => {
    const long = code
      .filter((file) => !(file in LONG_FILES))
      .map((file) => ({ file, lines: readFileSync(file, 'utf8').split('\n').length - 1 }))
      .filter(({ lines }) => lines > LINE_LIMIT)

    expect(long).toEqual([])
  })

  test('every exception is still needed', () => {
    const short = Object.keys(LONG_FILES).filter(
      (file) => !files.includes(file) || readFileSync(file, 'utf8').split('\n').length - 1 <= LINE_LIMIT,
    )

    expect(short).toEqual([])
  })

  test('nothing is called utils, common, helpers, shared or misc', () => {
    const vague = files.filter((file) =>
      file.split('/').some((name) => FORBIDDEN_NAMES.includes(name.replace(/\..*$/, '').toLowerCase())),
    )

    expect(vague).toEqual([])
  })

  test('nothing lies deep', () => {
    const deep = code.filter((file) => file.split('/').length > DEPTH_LIMIT)

    expect(deep).toEqual([])
  })

  test('no file names the folder this checkout happens to be in', () => {
    const telling = code.filter((file) => readFileSync(file, 'utf8').includes(resolve('.')))

    expect(telling).toEqual([])
  })
})

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name).replaceAll('\\', '/')
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}
