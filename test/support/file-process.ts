import { readFileSync } from 'node:fs'

/** The id of the one child of this process that serves files. */
export function fileProcess(): number {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ')
  const found = children.find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('files.js'))
  if (found === undefined) throw new Error('no file process')
  return Number(found)
}
