import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { text as readAll } from 'node:stream/consumers'
import type { Command } from 'commander'
import { VmmError } from '../../vmm/model/errors'

export interface PassphraseOptions {
  passphraseFile?: string
}

/** A passphrase is never an argument: every program of the person could read it there. */
export function withPassphraseFile(command: Command): Command {
  return command.option('--passphrase-file <file>', 'a file that holds the passphrase, instead of asking for it')
}

/**
 * From the file named, from the terminal without showing it, or from standard input. `again` asks a person twice, for one
 * that is new.
 */
export async function askPassphrase(options: PassphraseOptions, question: string, again = false): Promise<string> {
  if (options.passphraseFile !== undefined) return await passphraseOf(options.passphraseFile)
  if (!process.stdin.isTTY) return withoutEnd(await readAll(process.stdin))
  const first = await hidden(`${question}: `)
  if (again && (await hidden('The same again: ')) !== first) {
    throw new VmmError('invalid', 'These were two different passphrases.', { hint: 'Try again.' })
  }
  return first
}

export async function passphraseOf(file: string): Promise<string> {
  return withoutEnd(
    await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new VmmError('not-found', `The file ${file} could not be read.`, { hint: 'Check its name.', cause })
    }),
  )
}

/** Editors end a file with an end of line, which is no part of the passphrase. */
const withoutEnd = (text: string): string => text.replace(/\r?\n$/, '')

async function hidden(question: string): Promise<string> {
  process.stderr.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const line = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      line.once('SIGINT', () => reject(new VmmError('cancelled', 'No passphrase was given.')))
      line.once('line', resolve)
    })
  } finally {
    line.close()
    process.stderr.write('\n')
  }
}
