import * as file from './ninep-file-operations'
import * as locking from './ninep-lock-operations'
import type { Request, RequestName } from './ninep-messages'
import type { NinepState } from './ninep-state'
import * as tree from './ninep-tree-operations'
import { FileError } from './file-error'

/** How each request is done, and what it means for the order and the rate of requests. */

/** Those that the session answers itself. */
type Own = 'Tversion' | 'Tflush'
type Outcome = Buffer | Promise<Buffer> | locking.LockWait

interface Way<N extends RequestName> {
  /** What the gate is asked before; null for what passes in any case. */
  gate: 'read' | 'write' | null
  do: (state: NinepState, request: Request<N>, waiting: number) => Outcome
}

const reading = <N extends RequestName>(work: Way<N>['do']): Way<N> => ({ gate: 'read', do: work })
const changing = <N extends RequestName>(work: Way<N>['do']): Way<N> => ({ gate: 'write', do: work })
const free = <N extends RequestName>(work: Way<N>['do']): Way<N> => ({ gate: null, do: work })

const WAYS: { [N in Exclude<RequestName, Own>]: Way<N> } = {
  Tattach: free(tree.attach),
  Tauth: free(() => {
    throw new FileError('EOPNOTSUPP', 'there is nothing to authenticate with')
  }),
  Tclunk: free(tree.clunk),
  Tlock: free(locking.lock),
  Tgetlock: free(locking.testLock),
  Tfsync: free(file.sync),
  Twalk: reading(tree.walk),
  Tgetattr: reading(tree.tellAttributes),
  Tstatfs: reading(tree.tellSpace),
  Treadlink: reading(tree.readLink),
  Tlopen: reading(file.open),
  Tread: reading(file.read),
  Treaddir: reading(file.readFolder),
  Txattrwalk: reading(file.readXattrs),
  Twrite: changing(file.write),
  Tsetattr: changing(tree.change),
  Tlcreate: changing(file.create),
  Tmkdir: changing(tree.makeFolder),
  Tsymlink: changing(tree.makeLink),
  Tmknod: changing(tree.makeDevice),
  Tlink: changing(tree.addName),
  Trename: changing(tree.rename),
  Trenameat: changing(tree.renameAt),
  Tunlinkat: changing(tree.unlinkAt),
  Tremove: changing(tree.remove),
  Txattrcreate: changing(file.startXattr),
}

export type WorkRequest = Request<Exclude<RequestName, Own>>

export function perform(state: NinepState, request: WorkRequest, waiting: number): Outcome {
  return (WAYS[request.message] as Way<RequestName>).do(state, request, waiting)
}

/** The fids that a request is about: those of one fid are done in their order. */
export function fidsOf(request: WorkRequest): number[] {
  if (request.message === 'Tauth') return [request.afid]
  if ('newFid' in request) return [request.fid, request.newFid]
  return 'toFid' in request ? [request.fid, request.toFid] : [request.fid]
}

/** What holds the request back, if anything does. */
export function gatePass(state: NinepState, request: WorkRequest): Promise<void> | null {
  const { gate: kind } = WAYS[request.message]
  if (kind === null || !('fid' in request)) return null
  const fid = state.fids.find(request.fid)
  const gate = fid && state.gateOf(fid)
  if (!fid || !gate) return null
  return gate.pass(kind, file.bytesMoved(state, fid, request))
}
