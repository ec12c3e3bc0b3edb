import { open, readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import { REGISTRY_DATA_LIMIT } from '../contract'
import { findDomain } from './find'
import { dataOf, dataText, SETTABLE_TYPES, type SettableType, typeNumber } from './registry-data'
import type { CliSession } from './session'

interface SetOptions {
  type: SettableType
  file?: string
}

/** registry get, set, mk, rm, rename. */
export function addRegistryValueCommands(registry: Command, cli: CliSession): void {
  registry
    .command('get <domain> <key> [name]')
    .description('print a value whole; the default value of the key without a name')
    .option('--output <file>', 'write its bytes to a new file')
    .action(async (domain: string, key: string, given: string | undefined, { output }: { output?: string }) => {
      const name = given ?? ''
      const { id } = await findDomain(cli, domain)
      const { type, data } = await wholeValue(cli, id, key, name)
      if (output !== undefined) await writeNew(output, data)
      const json = { type, size: data.length, base64: data.toString('base64') }
      cli.print(json, output ?? dataText(type, data))
    })

  registry
    .command('set <domain> <key> <name> [data...]')
    .description("set a value, and make its key where that is not there; the default value is called ''")
    .addOption(new Option('--type <type>', 'what it is').choices(SETTABLE_TYPES).default('sz'))
    .option('--file <file>', 'take the bytes from a file')
    .action(async (domain: string, key: string, name: string, words: string[], { type, file }: SetOptions) => {
      const { id } = await findDomain(cli, domain)
      if (file !== undefined && words.length > 0) {
        throw new VmmError('invalid', 'There are two data for one value.', { hint: 'Leave --file or the data out.' })
      }
      const data = file === undefined ? dataOf(type, words) : await bytesOf(file)
      await haveKey(cli, id, key)
      await cli.call('registry.setValue', { id, key, name, type: typeNumber(type), data })
      cli.print({ key, name, type, size: data.length }, '')
    })

  registry
    .command('mk <domain> <key>')
    .description('make a key')
    .action(async (domain: string, key: string) => {
      const { id } = await findDomain(cli, domain)
      await cli.call('registry.createKey', { id, key })
      cli.print({ key }, '')
    })

  registry
    .command('rm <domain> <key> [name]')
    .alias('delete')
    .description("delete a value, or without a name the key with all below it; the default value is called ''")
    .action(async (domain: string, key: string, name: string | undefined) => {
      const { id } = await findDomain(cli, domain)
      if (name === undefined) await cli.call('registry.deleteKey', { id, key })
      else await cli.call('registry.deleteValue', { id, key, name })
      cli.print({ key, name: name ?? null }, '')
    })

  registry
    .command('rename <domain> <key> <to>')
    .description('give a key, or a value of it, another name')
    .option('--value <name>', 'the value of that name, not the key')
    .action(async (domain: string, key: string, to: string, { value }: { value?: string }) => {
      const { id } = await findDomain(cli, domain)
      if (value === undefined) await cli.call('registry.renameKey', { id, key, to })
      else await cli.call('registry.renameValue', { id, key, name: value, to })
      cli.print({ key, name: value ?? null, to }, '')
    })
}

/** Makes the key unless it is there. */
async function haveKey(cli: CliSession, id: string, key: string): Promise<void> {
  await cli.call('registry.createKey', { id, key }).catch((error: unknown) => {
    if (!(error instanceof VmmError && error.kind === 'conflict')) throw error
  })
}

async function wholeValue(
  cli: CliSession,
  id: string,
  key: string,
  name: string,
): Promise<{ type: number; data: Buffer }> {
  const parts: Uint8Array[] = []
  for (let offset = 0; ;) {
    const { type, size, bytes } = await cli.call('registry.value', { id, key, name, offset })
    parts.push(bytes)
    offset += bytes.byteLength
    if (offset >= size || bytes.byteLength === 0) return { type, data: Buffer.concat(parts) }
  }
}

async function bytesOf(file: string): Promise<Buffer> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new VmmError('not-found', `The file ${file} could not be read.`, { hint: 'Check its name.', cause })
  })
  if (bytes.length <= REGISTRY_DATA_LIMIT) return bytes
  throw new VmmError('invalid', 'A value is set to at most 1 MiB here.', { hint: 'Import larger ones as a .reg file.' })
}

async function writeNew(file: string, data: Buffer): Promise<void> {
  const handle = await open(file, 'wx').catch((cause: unknown) => {
    throw new VmmError('invalid', `The value could not be written to ${file}.`, {
      hint: 'Name a new file in a folder that you may write to.',
      cause,
    })
  })
  try {
    await handle.writeFile(data)
  } finally {
    await handle.close()
  }
}
