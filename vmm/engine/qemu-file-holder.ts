import { readdir, readFile, readlink } from 'node:fs/promises'
import { asVmmError, VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'

/** How QEMU and qemu-img name the file that they could not lock. */
const LOCKED_FILE = /another process using the image \[([^\]]{1,4096})\]/

/** A start that failed because somebody has a disk open says who that is, where the system tells. */
export async function withHolder(error: unknown): Promise<VmmError> {
  const failure = asVmmError(error, 'start the machine')
  const words = [failure.context.said, failure.context.stderr].filter((each) => typeof each === 'string').join('\n')
  const file = LOCKED_FILE.exec(words)?.[1]
  if (failure.kind !== 'conflict' || file === undefined) return failure
  const holder = await holderOf(file)
  if (holder === '') return failure
  return new VmmError('conflict', `A disk of the domain is in use by ${holder}.`, {
    hint: 'Close the program that uses it, or shut its machine down.',
    context: { ...failure.context, file },
    cause: error,
  })
}

/** The process that has `file` open, for people; '' when it cannot be told (man 5 proc). */
async function holderOf(file: string): Promise<string> {
  const processes = await readdir('/proc').catch(() => [])
  for (const pid of processes.filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid || !(await hasOpen(pid, file))) continue
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
    const domain = /^guest=(.+)$/.exec(words[words.indexOf('-name') + 1] ?? '')?.[1]
    if (domain !== undefined) return `the machine of ${safeText(domain.replaceAll(',,', ','), 100)} (process ${pid})`
    const program = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim()
    return `${safeText(program, 30) || 'another program'} (process ${pid})`
  }
  return ''
}

async function hasOpen(pid: string, file: string): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [])
  for (const descriptor of descriptors) {
    if ((await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')) === file) return true
  }
  return false
}
