import path from 'node:path'
import { FilesLink } from '../../vmm/files/files-link'
import { HostFolderProvider } from '../../vmm/files/host-folder'
import { NinepDoor } from '../../vmm/files/ninep-door'
import { LockTable } from '../../vmm/files/ninep-locks'
import { realClock } from './real-clock'

/** What the file process is to one guest of QEMU: its card's other end, and folders of the host behind it. */
export class FileServer {
  private constructor(
    readonly link: FilesLink,
    readonly door: NinepDoor,
  ) {}

  /** `trees` are folders by the names that the guest attaches; `card` is where its card listens. */
  static async start(card: string, trees: Readonly<Record<string, string>>): Promise<FileServer> {
    const providers = new Map(
      Object.entries(trees).map(([name, folder]) => [name, new HostFolderProvider({ folder, writable: true })]),
    )
    const door = await NinepDoor.listen(path.join(path.dirname(card), 'f.sock'), {
      tree: (aname) => providers.get(aname)!,
      locks: new LockTable(),
    })
    return new FileServer(new FilesLink({ path: card, clock: realClock, serve: (stream) => door.serve(stream) }), door)
  }

  /** Ends it as kill -9 would: the guest hears nothing. */
  async kill(): Promise<void> {
    this.link.close()
    await this.door.close()
  }
}
