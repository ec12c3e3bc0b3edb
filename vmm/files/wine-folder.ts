import { VmmError } from '../model/errors'
import { WINE_FILES, type WineFiles } from '../registry/wine-prefix'
import { FileError } from './file-error'
import { MODE, type FileName, type FileNode, type Provider } from './provider'

/** Largest file of a prefix that is read, bytes. */
const FILE_MOST = 512 * 1024 * 1024

/** The registry of a Wine prefix: `at` is the prefix' folder from the top of a share. Links are not followed. */
export function readPrefix(share: Provider, at: string): WineFiles {
  return withFolder(share, at, (folder) => {
    const files = WINE_FILES.map((name) => [name, readFile(share, folder, name)])
    return Object.fromEntries(files) as Record<(typeof WINE_FILES)[number], Uint8Array>
  })
}

/** Writes them beside their places first, so that each is there as before or as it is to be. */
export function writePrefix(share: Provider, at: string, files: WineFiles): void {
  withFolder(share, at, (folder) => {
    for (const name of WINE_FILES) writeFile(share, folder, name, files[name])
  })
}

function withFolder<T>(share: Provider, at: string, work: (folder: FileNode) => T): T {
  let folder = share.root()
  try {
    for (const name of at.split('/').filter((part) => part !== '')) {
      const next = share.lookup(folder, Buffer.from(name, 'utf8').toString('latin1'))
      share.drop(folder)
      folder = next
    }
    return work(folder)
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    throw new VmmError('not-found', `The Wine prefix ${at} cannot be used (${error.message}).`, {
      hint: 'Name the folder with system.reg in it, from the top of the share.',
      cause: error,
    })
  } finally {
    share.drop(folder)
  }
}

function readFile(share: Provider, folder: FileNode, name: FileName): Uint8Array {
  const node = share.lookup(folder, name)
  try {
    const { mode, size } = share.attributes(node)
    if ((mode & MODE.kind) !== MODE.file || size > FILE_MOST) throw new FileError('EINVAL', `${name} is no such file`)
    const file = share.open(node, false)
    try {
      const bytes = Buffer.alloc(size)
      return bytes.subarray(0, file.read(0, bytes))
    } finally {
      file.close()
    }
  } finally {
    share.drop(node)
  }
}

function writeFile(share: Provider, folder: FileNode, name: FileName, content: Uint8Array): void {
  const aside = `.${name}.vivarium`
  try {
    share.unlink(folder, aside, false)
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'ENOENT') throw error
  }
  const node = share.createFile(folder, aside, { mode: 0o644, ...ownerOf(share, folder) })
  try {
    const file = share.open(node, true)
    try {
      file.write(0, content)
    } finally {
      file.close()
    }
  } finally {
    share.drop(node)
  }
  share.rename(folder, aside, folder, name)
}

/** Wine refuses a prefix that is not its user's. */
function ownerOf(share: Provider, folder: FileNode): { uid: number; gid: number } {
  const { uid, gid } = share.attributes(folder)
  return { uid, gid }
}
