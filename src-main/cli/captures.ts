import { open } from 'node:fs/promises'
import type { Command } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import type { CallArgs, CaptureView } from '../contract'
import { findDomain, findNamed } from './find'
import { rateOption } from './limits'
import { cardOption, given, wholeNumber } from './options'
import type { CliSession } from './session'
import { sizeText, table, timeText } from './text'

interface StartOptions {
  card: number
  segment?: string
  afterPolicy?: boolean
  snap?: number
  fileSize?: number
  files?: number
  most?: number
}

interface DownloadOptions {
  file?: string
  replace?: boolean
}

/** network capture start, stop, ls, download, rm. */
export function addCaptureCommands(network: Command, cli: CliSession): void {
  const capture = network.command('capture').description('recordings of network traffic, for Wireshark and tcpdump')

  addStartCommand(capture, cli)

  capture
    .command('stop <capture>')
    .description('end a capture; its files stay')
    .action(async (which: string) => {
      const { id } = await findCapture(cli, which)
      const view = await cli.call('captures.stop', { captureId: id })
      cli.print(view, captureTable([view]))
    })

  capture
    .command('ls')
    .alias('list')
    .description('list them')
    .action(async () => {
      const { captures } = await cli.call('networks.get', {})
      cli.print(captures, captures.length > 0 ? captureTable(captures) : 'No captures.')
    })

  capture
    .command('download <capture> <file>')
    .description('copy a recording to a pcapng file')
    .option('--file <name>', 'which one, where there are several')
    .option('--replace', 'replace a file that is there')
    .action(async (which: string, target: string, { file, replace }: DownloadOptions) => {
      const view = await findCapture(cli, which)
      const bytes = await download(cli, { id: view.id, file: fileOf(view, file) }, target, replace === true)
      cli.print({ id: view.id, file: target, bytes }, `${target} (${sizeText(bytes)})`)
    })

  capture
    .command('rm <capture>')
    .alias('remove')
    .description('remove a capture with its files')
    .action(async (which: string) => {
      const { id } = await findCapture(cli, which)
      cli.print(await cli.call('captures.remove', { captureId: id }), '')
    })
}

function addStartCommand(capture: Command, cli: CliSession): void {
  capture
    .command('start [domain]')
    .description('record what goes over a card of a domain, or with --segment over a whole network')
    .option('--card <number>', 'which card, counted from 1', cardOption, 1)
    .option('--segment <name>', "a segment, or 'gateway' for the network of the gateway")
    .option('--after-policy', 'only what the policy lets pass')
    .option('--snap <bytes>', 'keep this much of each frame', wholeNumber(0, 65_535))
    .option('--file-size <size>', 'begin a new file at this size, such as 10M', rateOption)
    .option('--files <count>', 'keep the newest files only', wholeNumber(0, 1000))
    .option('--most <size>', 'end when this much is written; 1 GiB unless told', rateOption)
    .action(async (domain: string | undefined, options: StartOptions) => {
      const { snap, fileSize, files, most } = options
      const view = await cli.call('captures.start', {
        source: await sourceOf(cli, domain, options),
        stage: options.afterPolicy ? 'after' : 'before',
        ...given({ snapBytes: snap, fileBytes: fileSize, files, totalBytes: most }),
      })
      cli.print(view, captureTable([view]))
    })
}

async function sourceOf(
  cli: CliSession,
  domain: string | undefined,
  { card, segment }: StartOptions,
): Promise<CallArgs<'captures.start'>['source']> {
  if ((domain === undefined) === (segment === undefined)) {
    throw new VmmError('invalid', 'It is not clear what to record.', { hint: 'Name a domain, or use --segment.' })
  }
  if (domain === undefined) return { segment: segment === 'gateway' ? '' : (segment ?? '') }
  return { id: (await findDomain(cli, domain)).id, nic: card - 1 }
}

async function findCapture(cli: CliSession, which: string): Promise<CaptureView> {
  return findNamed((await cli.call('networks.get', {})).captures, which, 'capture', 'vivarium network capture ls')
}

function fileOf({ files }: CaptureView, wanted: string | undefined): string {
  const names = files.map(({ name }) => name)
  const [only] = names
  if (wanted !== undefined && names.includes(wanted)) return wanted
  if (wanted === undefined && only !== undefined && names.length === 1) return only
  if (names.length === 0)
    throw new VmmError('not-found', 'The capture has no files.', { hint: 'Let it run for a while.' })
  throw new VmmError('invalid', 'It is not clear which file of the capture is meant.', {
    hint: `Use --file with one of: ${names.join(', ')}.`,
  })
}

/** Copies what the file has when it is asked for the first time; returns its bytes. */
async function download(
  cli: CliSession,
  { id, file }: { id: string; file: string },
  target: string,
  replace: boolean,
): Promise<number> {
  const handle = await open(target, replace ? 'w' : 'wx').catch((cause: unknown) => {
    throw new VmmError('invalid', `The recording could not be written to ${target}.`, {
      hint: 'Name a new file in a folder that you may write to, or use --replace.',
      cause,
    })
  })
  try {
    let offset = 0
    for (let end = Infinity; offset < end;) {
      const { bytes, size } = await cli.call('captures.read', { captureId: id, file, offset })
      end = Math.min(end, size)
      if (bytes.byteLength === 0) break
      await handle.writeFile(bytes)
      offset += bytes.byteLength
    }
    return offset
  } finally {
    await handle.close()
  }
}

function captureTable(captures: readonly CaptureView[]): string {
  const rows = captures.map(({ id, name, running, startedAt, frames, bytes, dropped, reason, files }) => [
    name,
    timeText(startedAt),
    running ? 'running' : reason || 'ended',
    String(frames),
    sizeText(bytes),
    String(dropped),
    files.map((file) => file.name).join(' '),
    id,
  ])
  return table(['OF', 'SINCE', 'STATE', 'FRAMES', 'SIZE', 'DROPPED', 'FILES', 'ID'], rows)
}
