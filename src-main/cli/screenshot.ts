import type { Command } from 'commander'
import { writeFile } from 'node:fs/promises'
import { VmmError } from '../../vmm/model/errors'
import { takeScreenshot } from '../contract'
import { findDomain } from './find'
import type { CliSession } from './session'
import { sizeText } from './text'

/** screenshot: what a guest's screen shows, as a file. */
export function addScreenshotCommand(program: Command, cli: CliSession): void {
  program
    .command('screenshot <domain> <file>')
    .description("save what a guest's screen shows as a PNG file")
    .action(async (given: string, file: string) => {
      const { id, name } = await findDomain(cli, given)
      const png = await takeScreenshot((await cli.client()).call, id)
      await writeFile(file, png).catch((cause: unknown) => {
        throw new VmmError('invalid', `The screenshot could not be written to ${file}.`, {
          hint: 'Name a file in a folder that is there and that you may write to.',
          cause,
        })
      })
      cli.print(
        { id, file, bytes: png.byteLength },
        `The screen of ${name} is in ${file} (${sizeText(png.byteLength)}).`,
      )
    })
}
