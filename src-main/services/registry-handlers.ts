import type { REGISTRY_CALLS } from '../contract/registry-calls'
import { REGISTRY_DATA_LIMIT } from '../contract'
import type { AccessView } from '../contract'
import type { RegistryRule } from '../../vmm/model/policy-registry'
import type { RegistryVerdict } from '../../vmm/registry/registry-rules'
import type { Handlers } from './call-handlers'
import type { DomainService } from './domains'
import type { FileService } from './files'
import type { HiveService } from './hives'
import type { RegistryService } from './registries'

export interface RegistryHandlerParts {
  domains: DomainService
  files: FileService
  hives: HiveService
  registries: RegistryService
}

const DONE = {}

/** Handlers of the calls about the registry. */
export function makeRegistryHandlers(parts: RegistryHandlerParts): Pick<Handlers, keyof typeof REGISTRY_CALLS> {
  const { domains, files, hives, registries } = parts
  const done = async (work: Promise<unknown>) => {
    await work
    return DONE
  }
  return {
    'registry.get': ({ id }) => registries.view(id),
    'registry.update': (wanted) => registries.update(wanted),
    'registry.list': ({ id, key, offset, limit }) => registries.ask(id, 'list', key, offset, limit),
    'registry.value': ({ id, key, name, offset }) => {
      return registries.ask(id, 'value', key, name, offset, REGISTRY_DATA_LIMIT)
    },
    'registry.setValue': ({ id, key, name, type, data }) =>
      done(registries.change(id, 'setValue', key, name, type, data)),
    'registry.deleteValue': ({ id, key, name }) => done(registries.change(id, 'deleteValue', key, name)),
    'registry.renameValue': ({ id, key, name, to }) => done(registries.change(id, 'renameValue', key, name, to)),
    'registry.createKey': ({ id, key }) => done(registries.change(id, 'createKey', key)),
    'registry.deleteKey': ({ id, key }) => done(registries.change(id, 'deleteKey', key)),
    'registry.renameKey': ({ id, key, to }) => done(registries.change(id, 'renameKey', key, to)),
    'registry.search': ({ id, ...question }) => registries.ask(id, 'search', question),
    'registry.diff': async ({ id, since, offset, limit }) => {
      return await registries.ask(id, 'diff', await registries.since(id, since), offset, limit)
    },
    'registry.revert': async ({ id, since, entries }) => {
      return await done(registries.change(id, 'revert', await registries.since(id, since), entries))
    },
    'registry.export': (wanted) => registries.exportTo(wanted),
    'registry.import': (wanted, client) => registries.importFrom(wanted, client),
    'registry.writePrefix': ({ id, prefix }) => done(registries.ask(id, 'writePrefix', prefix)),
    'registry.takePrefix': async ({ id, prefix }) => {
      const changes = await registries.ask(id, 'takePrefix', prefix, domains.get(id).run !== null)
      files.publishRegistry(id)
      return { changes }
    },
    'registry.explain': async ({ id, policy, key }) => {
      const { rules } = (policy ?? domains.get(id).record.spec.policy).registry
      return explained(rules, key, await registries.ask(id, 'explain', key, rules, files.once(id).registry))
    },
    'hives.list': () => hives.views(),
    'hives.rename': ({ hiveId, name }) => done(hives.rename(hiveId, name)),
    'hives.remove': ({ hiveId }) => done(hives.remove(hiveId)),
  }
}

const FORBIDS: Record<RegistryVerdict['action'], readonly AccessView['uses'][number]['use'][]> = {
  allow: [],
  redirect: [],
  'read-only': ['change'],
  deny: ['read', 'change'],
  hide: ['see', 'read', 'change'],
}
const WORDS: Record<RegistryVerdict['action'], string> = {
  allow: 'can be read and changed',
  redirect: 'leads elsewhere',
  'read-only': 'can be read and not changed',
  deny: 'is listed and cannot be used',
  hide: 'is not there for the guest',
}

function explained(rules: readonly RegistryRule[], key: string, verdict: RegistryVerdict): AccessView {
  const { action, rule, logged, to } = verdict
  const index = rules.findIndex(({ name }) => name === rule)
  const uses = (['see', 'read', 'change'] as const).map((use) => {
    return { use, allowed: !FORBIDS[action].includes(use), rule, index }
  })
  const by = rule === '' ? 'no rule says otherwise' : `by the rule '${rule}'`
  const where = to === '' ? '' : ` It leads to ${to}.`
  const noted = logged.length === 0 ? '' : ` It is noted by ${logged.map((name) => `'${name}'`).join(', ')}.`
  return { uses, leadsTo: to, logged: [...logged], sentence: `${key} ${WORDS[action]}: ${by}.${where}${noted}` }
}
