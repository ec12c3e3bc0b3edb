import type { OnceView } from '../contract'
import type { FILE_CALLS } from '../contract/file-calls'
import { VmmError } from '../../vmm/model/errors'
import { parseOrRefuse } from '../../vmm/model/domain'
import { FileRuleSchema } from '../../vmm/model/policy-files'
import { explainFile } from '../../vmm/files/file-rules-explain'
import { RegistryRuleSchema } from '../../vmm/model/policy-registry'
import type { Handlers } from './call-handlers'
import type { DomainService } from './domains'
import type { FileService } from './files'
import { hostFolders } from './host-folders'
import type { Journal } from './journal'
import type { KeyService } from './keys'
import type { ShareChanges } from './share-changes'
import type { ShareService } from './shares'

export interface FileHandlerParts {
  domains: DomainService
  files: FileService
  shares: ShareService
  shareChanges: ShareChanges
  keys: KeyService
  journal: Journal
}

/** Handlers of the calls about shares and keys. */
export function makeFileHandlers(parts: FileHandlerParts): Pick<Handlers, keyof typeof FILE_CALLS> {
  const { domains, files, shares, shareChanges, keys } = parts
  return {
    'files.get': async ({ id }) => {
      await files.look(domains.get(id))
      return await files.view(id)
    },
    'files.addShare': async (wanted) => {
      await shares.add(wanted)
      return await files.view(wanted.id)
    },
    'files.updateShare': async (change) => {
      await shares.update(change)
      return await files.view(change.id)
    },
    'files.removeShare': async (which) => {
      await shares.remove(which)
      return await files.view(which.id)
    },
    'files.mount': async ({ id }) => {
      const domain = domains.get(id)
      await files.introduce(domain, domain.requireRun())
      return await files.view(id)
    },
    'files.changes': (question) => shareChanges.list(question),
    'files.sides': (question) => shareChanges.sides(question),
    'files.apply': (which) => shareChanges.apply(which),
    'files.discard': (which) => shareChanges.discard(which),
    'files.denials': ({ id }) => files.denials.of(domains.get(id).id),
    'files.allowOnce': ({ id, seq }) => allowOnce(parts, id, seq),
    'files.once': ({ id }) => files.once(domains.get(id).id),
    'files.forgetOnce': async ({ id }) => {
      const domain = domains.get(id)
      await parts.journal.info(id, 'policy.once-forgotten', `${domain.name}: what was allowed once is over.`)
      return await files.setOnce(domain, { files: [], registry: [] })
    },
    'files.explain': ({ id, policy, share, path }) => {
      const { spec } = domains.get(id).record
      const found = spec.shares.find(({ name }) => name === share)
      if (!found) {
        throw new VmmError('not-found', `There is no share called ${share}.`, { hint: 'Choose one of its shares.' })
      }
      const once = files.once(id).files
      return explainFile((policy ?? spec.policy).files.rules, { share, mode: found.mode, path, once })
    },
    'files.hostFolders': ({ path }) => hostFolders(path),
    'keys.get': () => keys.view(),
    'keys.unlock': ({ passphrase }) => keys.unlock(passphrase),
    'keys.protect': (how) => keys.protect(how),
    'keys.export': (where) => keys.exportTo(where),
    'keys.import': (where) => keys.importFrom(where),
  }
}

/** Allows what was refused until the machine ends. */
async function allowOnce({ domains, files, journal }: FileHandlerParts, id: string, seq: number): Promise<OnceView> {
  const domain = domains.get(id)
  domain.requireRun()
  const denial = files.denials.find(id, seq)
  if (!denial) {
    throw new VmmError('not-found', 'That refusal is too long ago.', {
      hint: 'Let the guest try again, or edit the rule.',
    })
  }
  const once = files.once(id)
  const name = `allowed once: ${denial.path.slice(-60)}`
  await journal.warning(id, 'policy.allowed-once', `${domain.name}: ${name}, until it stops.`)
  if (denial.kind === 'file') {
    const fields = { name, action: 'allow', shares: [denial.share], paths: [literalPath(denial.path)] }
    const rule = parseOrRefuse(FileRuleSchema, fields, 'rule')
    return await files.setOnce(domain, { ...once, files: [...once.files.filter((each) => each.name !== name), rule] })
  }
  const rule = parseOrRefuse(RegistryRuleSchema, { name, action: 'allow', keys: [denial.path] }, 'rule')
  const others = once.registry.filter((each) => each.name !== name)
  return await files.setOnce(domain, { ...once, registry: [...others, rule] })
}

/** A path may hold what is special in a pattern: any one character stands for it there. */
function literalPath(path: string): string {
  return path.replace(/[*?]/g, '?')
}
