import { FileError } from './file-error'
import { attributesReply, changeOf, qidOf, spaceReply } from './ninep-attributes'
import { Fid, OPEN_FLAG, type Attachment } from './ninep-fids'
import { encode, NO_FID, type Request } from './ninep-messages'
import type { NinepState } from './ninep-state'
import type { Qid } from './ninep-wire'
import { MODE, type Attributes, type Creation, type FileNode, type Provider } from './provider'

/** What goes on between names: attaching, walking, making, renaming, removing, and what is told of a file. */

const LINK_TARGET_MOST = 4095
const REMOVE_FOLDER = 0x200
/** An attach that names no user by number. */
const NO_UID = 0xffffffff

export function attach(state: NinepState, request: Request<'Tattach'>): Buffer {
  state.fids.checkFree(request.fid)
  if (request.afid !== NO_FID) throw new FileError('EOPNOTSUPP', 'there is nothing to authenticate with')
  const { aname, uname } = request
  const provider = state.options.tree(aname, uname)
  const uid = request.uid === NO_UID ? 0 : request.uid
  const attachment: Attachment = { provider, aname, uname, uid, gate: state.options.gate?.(aname) ?? null }
  const root = provider.root()
  const attributes = attributesHeld(provider, root)
  state.fids.add(request.fid, new Fid(attachment, root, attributes.ino, attributes.mode & MODE.kind, null))
  return encode('Rattach', request.tag, { qid: qidOf(attributes) })
}

/** A walk whose first step fails is an error; one that fails later tells how far it came, and makes no fid. */
export function walk(state: NinepState, request: Request<'Twalk'>): Buffer {
  const from = state.fids.get(request.fid)
  if (from.xattr !== null) throw new FileError('EBADF')
  if (request.newFid !== request.fid) state.fids.checkFree(request.newFid)
  const end = request.names.length === 0 ? cloneOf(from) : null
  if (end !== null) return walked(state, request, end, [])

  const { provider } = from
  const qids: Qid[] = []
  let folder = from.folder
  provider.hold(folder)
  for (const [step, name] of request.names.entries()) {
    try {
      const node = provider.lookup(folder, name)
      let attributes: Attributes
      try {
        attributes = provider.attributes(node)
      } catch (error) {
        provider.drop(node)
        throw error
      }
      qids.push(qidOf(attributes))
      if (step === request.names.length - 1) {
        const place = { folder, name }
        const fid = new Fid(from.attachment, node, attributes.ino, attributes.mode & MODE.kind, place)
        return walked(state, request, fid, qids)
      }
      provider.drop(folder)
      folder = node
    } catch (error) {
      provider.drop(folder)
      if (step === 0) throw error
      return encode('Rwalk', request.tag, { qids })
    }
  }
  throw new FileError('EINVAL')
}

function walked(state: NinepState, request: Request<'Twalk'>, end: Fid, qids: Qid[]): Buffer {
  if (request.newFid === request.fid) state.close(request.fid)
  state.fids.add(request.newFid, end)
  return encode('Rwalk', request.tag, { qids })
}

function cloneOf(from: Fid): Fid {
  const { provider, place } = from
  provider.hold(from.live)
  if (place !== null) provider.hold(place.folder)
  return new Fid(from.attachment, from.node, from.ino, from.kind, place)
}

export function makeFolder(state: NinepState, request: Request<'Tmkdir'>): Buffer {
  const { attachment, provider, folder } = state.fids.get(request.fid)
  const made = provider.createFolder(folder, request.name, creation(attachment, request))
  return encode('Rmkdir', request.tag, { qid: madeQid(provider, made) })
}

export function makeLink(state: NinepState, request: Request<'Tsymlink'>): Buffer {
  const { attachment, provider, folder } = state.fids.get(request.fid)
  const { target, gid } = request
  if (target === '' || target.includes('\0')) throw new FileError('EINVAL')
  if (target.length > LINK_TARGET_MOST) throw new FileError('ENAMETOOLONG')
  const made = provider.createLink(folder, request.name, target, creation(attachment, { mode: 0o777, gid }))
  return encode('Rsymlink', request.tag, { qid: madeQid(provider, made) })
}

export function makeDevice(state: NinepState, request: Request<'Tmknod'>): Buffer {
  const { attachment, provider, folder } = state.fids.get(request.fid)
  const kind = request.mode & MODE.kind
  const { name, major, minor } = request
  const by = creation(attachment, request)
  if (kind === MODE.file) {
    return encode('Rmknod', request.tag, { qid: madeQid(provider, provider.createFile(folder, name, by)) })
  }
  const special: number[] = [MODE.character, MODE.block, MODE.fifo, MODE.socket]
  if (!special.includes(kind)) throw new FileError('EINVAL', 'a file of no kind that can be made')
  const made = provider.createDevice(folder, name, { ...by, mode: kind | by.mode }, { major, minor })
  return encode('Rmknod', request.tag, { qid: madeQid(provider, made) })
}

export function creation({ uid }: Attachment, { mode, gid }: { mode: number; gid: number }): Creation {
  return { mode: mode & MODE.permissions, uid, gid }
}

function madeQid(provider: Provider, made: FileNode): Qid {
  const qid = qidOf(attributesHeld(provider, made))
  provider.drop(made)
  return qid
}

/** The attributes; where there are none, the node is not held any more. */
export function attributesHeld(provider: Provider, node: FileNode): Attributes {
  try {
    return provider.attributes(node)
  } catch (error) {
    provider.drop(node)
    throw error
  }
}

export function addName(state: NinepState, request: Request<'Tlink'>): Buffer {
  const from = state.fids.get(request.fid)
  const to = state.fids.get(request.toFid)
  sameTree(from, to)
  if (from.kind === MODE.folder) throw new FileError('EPERM')
  from.provider.link(from.live, to.folder, request.name)
  return encode('Rlink', request.tag, {})
}

export function renameAt(state: NinepState, request: Request<'Trenameat'>): Buffer {
  const from = state.fids.get(request.fid)
  const to = state.fids.get(request.toFid)
  sameTree(from, to)
  from.provider.rename(from.folder, request.name, to.folder, request.toName)
  return encode('Rrenameat', request.tag, {})
}

export function rename(state: NinepState, request: Request<'Trename'>): Buffer {
  const fid = state.fids.get(request.fid)
  const to = state.fids.get(request.toFid)
  sameTree(fid, to)
  const { folder, name } = placeOf(fid)
  const { provider } = fid
  provider.rename(folder, name, to.folder, request.name)
  provider.hold(to.folder)
  provider.drop(folder)
  fid.place = { folder: to.folder, name: request.name }
  return encode('Rrename', request.tag, {})
}

export function unlinkAt(state: NinepState, request: Request<'Tunlinkat'>): Buffer {
  const { provider, folder } = state.fids.get(request.fid)
  provider.unlink(folder, request.name, (request.flags & REMOVE_FOLDER) !== 0)
  return encode('Runlinkat', request.tag, {})
}

/** The fid goes in any case. */
export function remove(state: NinepState, request: Request<'Tremove'>): Buffer {
  const fid = state.fids.get(request.fid)
  try {
    const { folder, name } = placeOf(fid)
    fid.provider.unlink(folder, name, fid.kind === MODE.folder)
  } finally {
    state.close(request.fid)
  }
  return encode('Rremove', request.tag, {})
}

/** Where the file is, if the name that led to it still does. */
function placeOf({ place, provider, ino }: Fid): { folder: FileNode; name: string } {
  if (place === null) throw new FileError('EBUSY', 'the top of a tree stays where it is')
  const found = provider.lookup(place.folder, place.name)
  try {
    if (provider.attributes(found).ino !== ino) throw new FileError('ENOENT', 'it has been moved')
  } finally {
    provider.drop(found)
  }
  return place
}

function sameTree(one: Fid, other: Fid): void {
  if (one.provider !== other.provider) throw new FileError('EXDEV')
}

export function tellAttributes(state: NinepState, request: Request<'Tgetattr'>): Buffer {
  const { provider, live } = state.fids.get(request.fid)
  return attributesReply(request.tag, provider.attributes(live))
}

export function change(state: NinepState, request: Request<'Tsetattr'>): Buffer {
  const { provider, live, kind } = state.fids.get(request.fid)
  const wanted = changeOf(request)
  if (wanted.size !== undefined && kind !== MODE.file) {
    throw new FileError(kind === MODE.folder ? 'EISDIR' : 'EINVAL')
  }
  if (Object.keys(wanted).length > 0) provider.change(live, wanted)
  return encode('Rsetattr', request.tag, {})
}

export function readLink(state: NinepState, request: Request<'Treadlink'>): Buffer {
  const { provider, live, kind } = state.fids.get(request.fid)
  if (kind !== MODE.link) throw new FileError('EINVAL')
  return encode('Rreadlink', request.tag, { target: provider.readLink(live) })
}

export function tellSpace(state: NinepState, request: Request<'Tstatfs'>): Buffer {
  return spaceReply(request.tag, state.fids.get(request.fid).provider.space())
}

export function clunk(state: NinepState, request: Request<'Tclunk'>): Buffer {
  state.clunk(request.fid)
  return encode('Rclunk', request.tag, {})
}

export const appends = (fid: Fid): boolean => fid.flags !== null && (fid.flags & OPEN_FLAG.append) !== 0
