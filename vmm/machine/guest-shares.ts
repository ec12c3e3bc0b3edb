import { FILES_CARD, FILES_CARD_TEXT, SHARE_MSIZE, SHARE_TAG } from '../files/files-card'
import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import type { GuestCommands } from './guest-commands'

/** Our own program in the starter image, which knows the way by itself. */
const PROGRAM = '/usr/lib/vivarium/shares'
/** A first mount loads drivers, which takes an emulated guest a while. */
const WITHIN_MS = 60_000
/** As Linux names network cards; what a hostile guest tells must not be taken for an option. */
const CARD_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/

/**
 * What a guest may keep of a share.
 * - `none`: nothing, so that it sees at once what others change
 * - `mmap`: pages of files that programs map, which some need to write
 * - `loose`: all of it, for a tree that nobody changes but this guest: names are looked up ten times faster, and
 *   writing is slower by far
 */
export const SHARE_CACHES = ['none', 'mmap', 'loose'] as const
export type ShareCache = (typeof SHARE_CACHES)[number]

export interface GuestMount {
  /** Name of the tree, and where the guest sees it: checked by the model before. */
  name: string
  point: string
  cache: ShareCache
}

/** The command with which a Linux guest mounts a tree: over its card for files, or over virtio's own 9P. */
export function mountWords(way: 'card' | 'virtio', { name, point, cache }: GuestMount): string[] {
  const usual = `version=9p2000.L,access=client,cache=${cache},aname=${name}`
  return way === 'card'
    ? [
        'mount',
        '-t',
        '9p',
        '-o',
        `trans=tcp,port=${FILES_CARD.port},msize=${SHARE_MSIZE.tcp},${usual}`,
        FILES_CARD_TEXT.server,
        point,
      ]
    : ['mount', '-t', '9p', '-o', `trans=virtio,msize=${SHARE_MSIZE.virtio},${usual}`, SHARE_TAG, point]
}

/** Mounts trees of the file server in a guest through its agent, by plain words and without a shell. */
export class GuestShares {
  constructor(
    private readonly commands: Pick<GuestCommands, 'run' | 'interfaces'>,
    /** `own`: the guest has our program; `card`: it has a card for files, and the usual programs of Linux. */
    private readonly kind: 'own' | 'card',
  ) {}

  /** Mounts a tree, anew where it was mounted before. Fails with kind `guest` when the guest cannot. */
  async mount({ name, point, cache }: GuestMount): Promise<void> {
    if (this.kind === 'own') {
      await this.#run(PROGRAM, ['mount', name, point, cache])
      return
    }
    await this.#raise()
    await this.unmount(point)
    await this.#run('/bin/mkdir', ['-p', '--', point])
    const [, ...words] = mountWords('card', { name, point, cache })
    await this.#run('/bin/mount', words)
  }

  /** Lets go of a tree, also of one that is in use or whose server is gone. */
  async unmount(point: string): Promise<void> {
    if (this.kind === 'own') await this.#run(PROGRAM, ['unmount', point])
    // fails where nothing is mounted
    else await this.commands.run('/bin/umount', ['-l', '--', point], { withinMs: WITHIN_MS })
  }

  /** Gives the card for files its address; a system that does so by itself would find nobody to ask. */
  async #raise(): Promise<void> {
    const card = (await this.commands.interfaces()).find(({ mac }) => mac.toLowerCase() === FILES_CARD.guestMac)
    if (!card || !CARD_NAME.test(card.name)) {
      throw new VmmError('guest', 'The guest does not see its card for files.', {
        hint: 'It needs the driver virtio_net, and a start since the first folder was shared.',
      })
    }
    await this.#run('/sbin/ip', ['link', 'set', 'dev', card.name, 'up'])
    const address = `${FILES_CARD_TEXT.guest}/${FILES_CARD.prefix}`
    await this.#run('/sbin/ip', ['addr', 'replace', address, 'dev', card.name])
    await this.#run('/sbin/modprobe', ['-q', '9pnet_fd'])
  }

  async #run(program: string, words: string[]): Promise<void> {
    const { exitCode, stderr } = await this.commands.run(program, words, { withinMs: WITHIN_MS })
    if (exitCode === 0) return
    const said = safeText(Buffer.from(stderr).toString(), 200).trim()
    throw new VmmError(
      'guest',
      `The guest could not mount the share: ${said || `${program} ended with ${exitCode}`}.`,
      {
        hint: 'Its Linux needs the driver 9p.',
      },
    )
  }
}
