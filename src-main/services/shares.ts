import { randomUUID } from 'node:crypto'
import { realpath, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { CheckedArgs } from '../contract'
import { errorCode, VmmError } from '../../vmm/model/errors'
import { parseOrRefuse } from '../../vmm/model/domain'
import { SharesSchema, type Share } from '../../vmm/model/share'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { FileService } from './files'
import type { Folders } from './folders'
import type { Journal } from './journal'

interface SharesParts {
  domains: DomainService
  folders: Folders
  journal: Journal
  files: FileService
}

/** Which folders of the host domains see. */
export class ShareService {
  constructor(private readonly parts: SharesParts) {}

  async add({ id, folder, name, mode, mounted }: CheckedArgs<'files.addShare'>): Promise<void> {
    const domain = this.parts.domains.forVerb(id, 'settings')
    await this.#requireFolder(folder)
    const { shares } = domain.record.spec
    const share: Share = {
      id: randomUUID(),
      name: name ?? freeName(path.basename(folder), shares),
      folder: path.resolve(folder),
      mode,
      attached: true,
      mounted,
    }
    await this.#store(domain, [...shares, share])
    const words = `${domain.name} shares ${share.folder} as ${share.name} (${mode}).`
    await this.parts.journal.info(id, 'files.share-added', words)
  }

  async update({ id, shareId, ...change }: CheckedArgs<'files.updateShare'>): Promise<void> {
    const domain = this.parts.domains.forVerb(id, 'settings')
    const share = this.get(domain, shareId)
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
    const changed: Share = { ...share, ...given }
    await this.#store(
      domain,
      domain.record.spec.shares.map((each) => (each === share ? changed : each)),
    )
    const words = `${domain.name}: the share ${share.name} was changed (${Object.keys(given).join(', ') || 'nothing'}).`
    await this.parts.journal.info(id, 'files.share-changed', words)
  }

  async remove({ id, shareId }: CheckedArgs<'files.removeShare'>): Promise<void> {
    const domain = this.parts.domains.forVerb(id, 'settings')
    const share = this.get(domain, shareId)
    await this.#store(
      domain,
      domain.record.spec.shares.filter((each) => each !== share),
    )
    await rm(this.parts.folders.share(id, shareId), { recursive: true, force: true })
    await this.parts.journal.info(id, 'files.share-removed', `${domain.name} no longer shares ${share.folder}.`)
  }

  get(domain: Domain, shareId: string): Share {
    const share = domain.record.spec.shares.find((each) => each.id === shareId)
    if (share) return share
    throw new VmmError('not-found', 'There is no such share.', { hint: 'Look at the list; it may have been removed.' })
  }

  async #store(domain: Domain, wanted: readonly Share[]): Promise<void> {
    const shares = parseOrRefuse(SharesSchema, wanted, 'list of shares')
    await this.parts.domains.store(domain, ({ spec }) => ({ spec: { ...spec, shares } }))
    await this.parts.files.follow(domain)
  }

  /** A folder that holds Vivarium's own data would hand the guest all others. */
  async #requireFolder(folder: string): Promise<void> {
    if (!path.isAbsolute(folder)) {
      throw new VmmError('invalid', 'The folder is named with its whole path.', { hint: 'Begin at the top.' })
    }
    const found = await stat(folder).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw error
      throw new VmmError('not-found', `There is no folder ${folder}.`, { hint: 'Choose one that exists.' })
    })
    if (!found.isDirectory()) {
      throw new VmmError('invalid', `${folder} is no folder.`, { hint: 'Share the folder that it is in.' })
    }
    const own = await realpath(this.parts.folders.root)
    const wanted = await realpath(folder)
    if (isWithin(own, wanted) || isWithin(wanted, own)) {
      throw new VmmError('denied', 'This folder has to do with the data of Vivarium itself.', {
        hint: 'Share another one: with this one a guest could reach every other.',
      })
    }
  }
}

function isWithin(outer: string, inner: string): boolean {
  const relative = path.relative(outer, inner)
  return relative === '' || (!relative.startsWith('..') && !path.isAbsolute(relative))
}

/** The folder's name as a share may have it, with a number if another has it. */
function freeName(base: string, shares: readonly Share[]): string {
  const stem = base.replace(/[^A-Za-z0-9_.-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '') || 'share'
  const taken = new Set(shares.map(({ name }) => name.toLowerCase()))
  for (let number = 1; ; number++) {
    const name = number === 1 ? stem.slice(0, 28) : `${stem.slice(0, 28)}-${number}`
    if (!taken.has(name.toLowerCase())) return name
  }
}
