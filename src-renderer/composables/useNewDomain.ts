import { computed, reactive, ref, shallowRef, watch } from 'vue'
import {
  MEMORY_MIB,
  NameSchema,
  usualDisk,
  usualEngine,
  usualMemory,
  type DomainSpecInput,
  type DomainView,
  type FailureView,
  type NicMode,
} from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'
import { useDomains } from '../stores/domains'
import { useImages } from '../stores/images'
import { useNotices } from '../stores/notices'
import { useSettings } from '../stores/settings'
import { useTasks } from '../stores/tasks'
import { freeName } from '../stores/trial'
import { faultOf, SPEC_FIELDS } from './form-faults'
import { useTemplates } from './usePolicy'
import { fitted, hardwareFault, plainHardware, type HardwareDraft } from './hardware-draft'

type Field = 'name' | 'imageId' | 'engine' | 'memoryMiB' | 'diskMiB' | 'group' | 'notes' | 'instantStart'
type Draft = { [F in Field]: NonNullable<DomainSpecInput[F]> }

/** What a new guest may do unless it is chosen otherwise: nothing beyond an address. */
const FIRST_TEMPLATE = 'offline'

export interface FirstPlug {
  mode: NicMode
  segment: string
}

/** 'Debian starter 12.9' gives 'debian-starter'. */
function stemOf(name: string): string {
  const words = name
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter(Boolean)
  const plain = words.filter((word) => /[a-z]/.test(word))
  return plain.join('-').slice(0, 40).replace(/-$/, '') || 'domain'
}

/** The draft of a new domain, what is wrong with it, and its making. */
export function useNewDomain(wantedImage: string) {
  const app = useApp()
  const domains = useDomains()
  const images = useImages()
  const notices = useNotices()
  const settings = useSettings()
  const tasks = useTasks()

  const usable = images.list.filter((image) => !image.damage)
  const first =
    usable.find((image) => image.id === wantedImage) ?? usable.find((image) => image.kind === 'starter') ?? usable[0]

  const draft = reactive<Draft>({
    name: '',
    imageId: first?.id ?? '',
    engine: 'embedded',
    memoryMiB: MEMORY_MIB.usual,
    diskMiB: 0,
    group: '',
    notes: '',
    instantStart: true,
  })
  const hardware = shallowRef<HardwareDraft>(plainHardware())
  /** What the guest may do: the template of this id. */
  const template = ref(FIRST_TEMPLATE)
  const { templates } = useTemplates()
  /** Where the first network card is plugged in. */
  const plug = shallowRef<FirstPlug>({ mode: 'gateway', segment: '' })
  const failure = shallowRef<FailureView | null>(null)
  const busy = ref(false)
  const image = computed(() => images.get(draft.imageId))
  const engines = computed(() => app.info?.engines ?? [])
  const engine = computed(() => engines.value.find((known) => known.id === draft.engine))
  const usual = computed(() => usualEngine(image.value?.kind, engines.value)?.id ?? draft.engine)

  /** What was suggested last: it is followed until the person chooses otherwise. */
  const suggested: Pick<Draft, 'name' | 'engine' | 'memoryMiB' | 'diskMiB'> = { ...draft }
  function suggest<K extends keyof typeof suggested>(field: K, value: (typeof suggested)[K]): void {
    const followed = draft[field] === suggested[field]
    suggested[field] = value
    if (followed) Object.assign(draft, { [field]: value })
  }

  watch(image, () => suggest('name', freeName(stemOf(image.value?.name ?? ''), domains.names)), { immediate: true })
  watch(usual, (id) => suggest('engine', id), { immediate: true })
  watch(
    [engine, image],
    () => {
      if (!engine.value) return
      const { capabilities } = engine.value
      suggest('memoryMiB', usualMemory(image.value?.kind, capabilities))
      suggest('diskMiB', usualDisk(image.value?.kind, capabilities))
      hardware.value = fitted(hardware.value, capabilities)
    },
    { immediate: true },
  )

  const diskFault = computed(() =>
    Number.isNaN(draft.diskMiB) ? 'Give a disk size; 0 is for none.' : faultOf(SPEC_FIELDS.diskMiB, draft.diskMiB),
  )
  const groupFault = computed(() => draft.group && faultOf(NameSchema, draft.group))
  const plugFault = computed(() => {
    const { mode, segment } = plug.value
    if (mode === 'gateway' || hardware.value.nics.length === 0) return ''
    return segment === '' ? 'Name the segment of the first network card.' : faultOf(NameSchema, segment)
  })
  const machineFault = computed(() => {
    if (!engine.value) return ''
    const { memoryMiB } = draft
    const wished = { hardware: hardware.value, memoryMiB, disks: [], imageKind: image.value?.kind }
    return hardwareFault(wished, engine.value.capabilities)
  })
  const fault = computed(
    () =>
      faultOf(NameSchema, draft.name) ||
      (image.value ? '' : 'Choose or import an image first.') ||
      (engine.value?.works === false ? `${engine.value.name} is not available here.` : '') ||
      faultOf(SPEC_FIELDS.memoryMiB, draft.memoryMiB) ||
      diskFault.value ||
      machineFault.value ||
      plugFault.value ||
      groupFault.value,
  )

  /** The new domain, or null after a failure, which is then shown in the dialog. */
  async function create(start: boolean): Promise<DomainView | null> {
    busy.value = true
    failure.value = null
    const policy = templates.value.find(({ id }) => id === template.value)?.policy
    const connections = hardware.value.nics.length > 0 ? [plug.value] : []
    const spec: DomainSpecInput = { ...draft, ...hardware.value, connections, ...(policy ? { policy } : {}) }
    try {
      const domain = domains.put(await app.call('domains.create', { spec }))
      void settings.update({ welcomed: true })
      if (start) void begin(domain)
      return domain
    } catch (thrown) {
      failure.value = failureOf(thrown)
      return null
    } finally {
      busy.value = false
    }
  }

  /** The domain is there now: what goes wrong from here on is told outside the dialog. */
  async function begin({ id, name }: DomainView): Promise<void> {
    const task = await notices.attempt(`Starting ${name}`, () => app.call('domains.start', { id }))
    if (task) await tasks.follow(task)
  }

  return {
    draft,
    hardware,
    templates,
    template,
    plug,
    image,
    engines,
    engine,
    fault,
    machineFault,
    groupFault,
    failure,
    busy,
    create,
  }
}
