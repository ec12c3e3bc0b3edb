import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import { EXPORT_FORMATS, exportFormatOf, type ExportFormat } from '../../vmm/model/export-format'
import { findDomain } from './find'
import { followTask } from './follow-task'
import { given } from './options'
import type { CliSession } from './session'

interface ExportOptions {
  format?: ExportFormat
  disk?: string
  replace?: boolean
}

/** export: a domain as a file for another program. */
export function addExportCommand(program: Command, cli: CliSession): void {
  program
    .command('export <domain> <file>')
    .description('write a disk of a domain, or all of it as an OVA, to a file')
    .addOption(new Option('--format <format>', "otherwise told from the file's name").choices(EXPORT_FORMATS))
    .option('--disk <id>', 'which disk, where there are several; an OVA holds them all')
    .option('--replace', 'replace a file that is there')
    .action(async (domain: string, file: string, options: ExportOptions) => {
      const format = options.format ?? exportFormatOf(file)
      if (!format) {
        throw new VmmError('invalid', `The name '${file}' does not say what format is meant.`, {
          hint: `Add --format with one of: ${EXPORT_FORMATS.join(', ')}.`,
        })
      }
      const { id } = await findDomain(cli, domain)
      const path = resolve(file)
      const shape = { format, replace: options.replace === true, ...given({ disk: options.disk }) }
      await followTask(cli, await cli.call('domains.export', { id, path, ...shape }))
      cli.print({ path, format }, path)
    })
}
