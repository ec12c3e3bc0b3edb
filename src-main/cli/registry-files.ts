import { extname, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import { findDomain } from './find'
import { followTask } from './follow-task'
import { given } from './options'
import { sinceOf, withSince, type SinceOptions } from './registry-changes'
import type { CliSession } from './session'

interface ExportOptions extends SinceOptions {
  diff?: boolean
  format?: 'reg' | 'regf'
  replace?: boolean
}

interface ImportOptions {
  hive?: boolean
  key?: string
  name?: string
}

/** registry export, import. */
export function addRegistryFileCommands(registry: Command, cli: CliSession): void {
  withSince(registry.command('export <domain> <file> [key]'))
    .description('write a key with all below it, or with --diff what is different, to a file')
    .option('--diff', 'what is different, as a .reg file that makes the same changes')
    .addOption(
      new Option('--format <format>', "otherwise 'reg' for a file *.reg, else a hive").choices(['reg', 'regf']),
    )
    .option('--replace', 'replace a file that is there')
    .action(async (domain: string, file: string, key: string | undefined, options: ExportOptions) => {
      if ((key === undefined) !== (options.diff === true)) {
        throw new VmmError('invalid', 'It is not clear what to write.', { hint: 'Name a key, or use --diff.' })
      }
      const found = await findDomain(cli, domain)
      const since = await sinceOf(cli, found, options)
      const path = resolve(file)
      const format = options.format ?? (options.diff || extname(path).toLowerCase() === '.reg' ? 'reg' : 'regf')
      const what = options.diff ? ('diff' as const) : ('branch' as const)
      const wanted = { id: found.id, what, since, format, path, replace: options.replace === true, ...given({ key }) }
      await followTask(cli, await cli.call('registry.export', wanted))
      cli.print({ path, format }, path)
    })

  registry
    .command('import <domain> <file>')
    .description('read a .reg file, a hive (regf, with its logs beside it) or a Wine prefix (its folder)')
    .option('--hive', 'as a base hive that other domains can share, not as changes of the domain')
    .option('--key <key>', 'where a hive belongs, such as HKLM\\SOFTWARE')
    .option('--name <name>', 'of the base hive')
    .action(async (domain: string, file: string, { hive, key, name }: ImportOptions) => {
      const { id } = await findDomain(cli, domain)
      const shape = { as: hive ? ('hive' as const) : ('changes' as const), ...given({ key, name }) }
      const task = await followTask(
        cli,
        await cli.call('registry.import', { id, source: { path: resolve(file) }, ...shape }),
      )
      const view = await cli.call('registry.get', { id })
      cli.print(
        { ...view, hiveId: task.resultId },
        `The registry has ${view.changes} changes and ${view.hives.length} base hives.`,
      )
    })
}
