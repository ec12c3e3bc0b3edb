import type { CheckedArgs, FileChangesView, FileSidesView, TaskView } from '../contract'
import { SIDE_BYTES } from '../contract'
import type { ChangesOutcome, FileSides } from '../../vmm/files/files-protocol'
import { VmmError } from '../../vmm/model/errors'
import { safeText } from '../../vmm/model/safe-text'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { FileService } from './files'
import type { Journal } from './journal'
import type { ShareService } from './shares'
import type { TaskContext, TaskService } from './tasks'

interface ShareChangesParts {
  domains: DomainService
  files: FileService
  shares: ShareService
  journal: Journal
  tasks: TaskService
}

/** What guests changed in copy-on-write shares: seen, brought to the host, or thrown away. */
export class ShareChanges {
  constructor(private readonly parts: ShareChangesParts) {}

  async list({ id, shareId, under, limit }: CheckedArgs<'files.changes'>): Promise<FileChangesView> {
    const domain = await this.#open(id, shareId)
    const found = await this.parts.files.files.ask('changes', domain.id, shareId, pathBytes(under), limit)
    return {
      ...found,
      changes: found.changes.map((change) => ({
        ...change,
        path: shownPath(change.path),
        from: shownPath(change.from),
      })),
    }
  }

  async sides({ id, shareId, key }: CheckedArgs<'files.sides'>): Promise<FileSidesView> {
    const domain = await this.#open(id, shareId)
    return sidesView(await this.parts.files.files.ask('sides', domain.id, shareId, key, SIDE_BYTES))
  }

  async apply({ id, shareId, keys, force }: CheckedArgs<'files.apply'>): Promise<TaskView> {
    const domain = await this.#open(id, shareId)
    const { name, folder } = this.parts.shares.get(domain, shareId)
    return await this.#task(domain, 'files.apply', `Bringing changes of ${name} to ${folder}`, (context) =>
      this.parts.files.files.work('apply', [id, shareId, keys, force], following(context)),
    )
  }

  async discard({ id, shareId, keys }: CheckedArgs<'files.discard'>): Promise<TaskView> {
    const domain = await this.#open(id, shareId)
    const { name } = this.parts.shares.get(domain, shareId)
    return await this.#task(domain, 'files.discard', `Discarding changes of ${name}`, (context) =>
      this.parts.files.files.work('discard', [id, shareId, keys], following(context)),
    )
  }

  async #task(
    domain: Domain,
    kind: string,
    title: string,
    work: (context: TaskContext) => Promise<ChangesOutcome>,
  ): Promise<TaskView> {
    return await this.parts.tasks.start({
      kind,
      title,
      domainId: domain.id,
      cancellable: true,
      work: async (context) => {
        const { done, refused } = await work(context)
        const words = `${title}: ${done} done, ${refused.length} left alone.`
        await this.parts.journal.info(domain.id, kind, words)
        this.parts.files.publish(domain.id)
        if (refused.length === 0) return undefined
        const [first] = refused
        throw new VmmError('conflict', `${words} ${safeText(first ? `${first.path}: ${first.reason}` : '', 300)}`, {
          hint: 'Look at those that are left; a conflict can be overruled.',
          context: { refused: refused.map(({ path, reason }) => `${path}: ${reason}`).join('\n') },
        })
      },
    })
  }

  async #open(id: string, shareId: string): Promise<Domain> {
    const domain = this.parts.domains.get(id)
    const share = this.parts.shares.get(domain, shareId)
    if (share.mode !== 'copy-on-write') {
      throw new VmmError('state', `${share.name} keeps no changes: it is shared ${share.mode}.`, {
        hint: 'Only copy-on-write shares do.',
      })
    }
    await this.parts.files.open(domain)
    return domain
  }
}

function following({ signal, progress }: TaskContext) {
  return { signal, onProgress: (done: number, total: number) => progress('Files', done, total, 'steps') }
}

/** The bytes of a path, one character each, as text for people. */
function shownPath(path: string): string {
  return safeText(Buffer.from(path, 'latin1').toString('utf8'), 8192)
}

/** The other way: the path as the file process names it. */
function pathBytes(path: string): string {
  return Buffer.from(path, 'utf8').toString('latin1')
}

function sidesView({ before, after, bytesBefore, bytesAfter }: FileSides): FileSidesView {
  const texts = [before, after].map((bytes) => (bytes === null ? null : textOf(bytes)))
  const [first = null, second = null] = texts
  const binary = (before !== null && first === null) || (after !== null && second === null)
  return {
    before: binary ? null : first,
    after: binary ? null : second,
    binary,
    cut: bytesBefore > SIDE_BYTES || bytesAfter > SIDE_BYTES,
    bytesBefore,
    bytesAfter,
  }
}

/** Null for what is no UTF-8 text; a character that was cut at the end is left out. */
function textOf(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
  } catch {
    return null
  }
}
