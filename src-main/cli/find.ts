import { VmmError } from '../../vmm/model/errors'
import type { DomainView, ImageView, ShareView, SnapshotView } from '../contract'
import type { CliSession } from './session'

interface Named {
  id: string
  name: string
}

/** The one thing called `given` by name or id; several of that name are an error that lists them. */
export function findNamed<T extends Named>(all: readonly T[], given: string, noun: string, lister: string): T {
  const matches = all.filter(({ id, name }) => id === given || name === given)
  if (matches.length === 1) return matches[0] as T
  if (matches.length > 1) {
    const ids = matches.map(({ id }) => id).join(', ')
    throw new VmmError('invalid', `'${given}' names ${matches.length} ${noun}s.`, { hint: `Use an id: ${ids}.` })
  }
  throw new VmmError('not-found', `There is no ${noun} called '${given}'.`, {
    hint: `'${lister}' shows what there is.`,
  })
}

export async function findDomain(cli: CliSession, given: string): Promise<DomainView> {
  return findNamed(await cli.call('domains.list', {}), given, 'domain', 'vivarium ls')
}

export async function findImage(cli: CliSession, given: string): Promise<ImageView> {
  return findNamed(await cli.call('images.list', {}), given, 'image', 'vivarium image ls')
}

export async function findSnapshot(cli: CliSession, domain: DomainView, given: string): Promise<SnapshotView> {
  const all = await cli.call('snapshots.list', { id: domain.id })
  return findNamed(all, given, 'snapshot', `vivarium snapshot ls ${domain.name}`)
}

/** A share of a domain by its name or id. */
export async function findShare(
  cli: CliSession,
  domain: string,
  which: string,
): Promise<{ id: string; domain: DomainView; share: ShareView }> {
  const found = await findDomain(cli, domain)
  const { shares } = await cli.call('files.get', { id: found.id })
  const share = shares.find(({ id, name }) => id === which || name === which)
  if (share) return { id: found.id, domain: found, share }
  throw new VmmError('not-found', `${found.name} has no share called '${which}'.`, {
    hint: `'vivarium shares ls ${found.name}' shows what there is.`,
  })
}
