import { computed, reactive, watch, type ComputedRef } from 'vue'
import { NameSchema, type DomainView } from '../../src-main/contract'
import { faultOf, SPEC_FIELDS } from './form-faults'
import { HARDWARE_KEYS, hardwareFault, type HardwareDraft } from './hardware-draft'

const FIELDS = ['name', 'memoryMiB', 'group', 'notes', 'instantStart', 'template', ...HARDWARE_KEYS] as const
export type SettingsDraft = Pick<DomainView, (typeof FIELDS)[number]>

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)

/** The settings of a domain as they are edited, what is wrong with them, and what was changed. */
export function useSettingsDraft(domain: ComputedRef<DomainView>) {
  const kept = computed(() => pick(domain.value))
  const draft = reactive<SettingsDraft>({ ...kept.value })

  /** Fields that were changed here follow the draft; all others follow what main tells. */
  watch(kept, (now, before) => {
    for (const field of FIELDS) if (same(draft[field], before[field])) Object.assign(draft, { [field]: now[field] })
  })

  const changed = computed(() => FIELDS.filter((field) => !same(draft[field], kept.value[field])))
  const nameFault = computed(() => faultOf(NameSchema, draft.name))
  const groupFault = computed(() => draft.group && faultOf(NameSchema, draft.group))
  const hardware = computed({
    get: () => Object.fromEntries(HARDWARE_KEYS.map((key) => [key, draft[key]])) as unknown as HardwareDraft,
    set: (next) => Object.assign(draft, next),
  })
  const machineFault = computed(() => {
    const { disks, imageKind, capabilities } = domain.value
    return hardwareFault({ hardware: hardware.value, memoryMiB: draft.memoryMiB, disks, imageKind }, capabilities)
  })
  const fault = computed(
    () => nameFault.value || groupFault.value || faultOf(SPEC_FIELDS.memoryMiB, draft.memoryMiB) || machineFault.value,
  )
  /** Why the hardware cannot be changed now, or ''. */
  const fixed = computed(() => {
    const { state } = domain.value
    if (state === 'off' || state === 'crashed') return ''
    return state === 'saved'
      ? 'Memory and hardware belong to the saved state. Resume it and shut the guest down, or discard it, to change them.'
      : 'Memory and hardware can be changed while the domain is off.'
  })

  return {
    draft,
    changed,
    nameFault,
    groupFault,
    hardware,
    machineFault,
    fault,
    fixed,
    /** The changed fields, as main takes them. */
    patch: () => Object.fromEntries(changed.value.map((field) => [field, draft[field]])),
    discard: () => Object.assign(draft, kept.value),
  }
}

function pick(domain: DomainView): SettingsDraft {
  return Object.fromEntries(FIELDS.map((field) => [field, domain[field]])) as unknown as SettingsDraft
}
