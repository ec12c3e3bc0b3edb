import { computed, reactive, ref, shallowRef, watch } from 'vue'
import {
  MEMORY_MIB,
  NameSchema,
  type DomainSpecInput,
  type DomainView,
  type FailureView,
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

type Field = 'name' | 'imageId' | 'engine' | 'memoryMiB' | 'diskMiB' | 'group' | 'notes' | 'instantStart'
type Draft = { [F in Field]: NonNullable<DomainSpecInput[F]> }

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
  const engine = app.info?.engines.find((known) => known.works)?.id ?? 'embedded'

  const draft = reactive<Draft>({
    name: '',
    imageId: first?.id ?? '',
    engine,
    memoryMiB: MEMORY_MIB.usual,
    diskMiB: 0,
    group: '',
    notes: '',
    instantStart: true,
  })
  const failure = shallowRef<FailureView | null>(null)
  const busy = ref(false)
  const image = computed(() => images.get(draft.imageId))

  let suggested = ''
  watch(image, suggest, { immediate: true })

  /** Names the domain after its image, until the person names it. */
  function suggest(): void {
    if (draft.name !== suggested) return
    suggested = freeName(stemOf(image.value?.name ?? ''), domains.names)
    draft.name = suggested
  }

  const diskFault = computed(() => {
    // a number field that was emptied holds ''
    const emptied = (draft.diskMiB as number | '') === ''
    return emptied ? 'A disk size is a whole number of MiB.' : faultOf(SPEC_FIELDS.diskMiB, draft.diskMiB)
  })
  const groupFault = computed(() => draft.group && faultOf(NameSchema, draft.group))
  const fault = computed(
    () =>
      faultOf(NameSchema, draft.name) ||
      (image.value ? '' : 'Choose or import an image first.') ||
      faultOf(SPEC_FIELDS.memoryMiB, draft.memoryMiB) ||
      diskFault.value ||
      groupFault.value,
  )

  /** The new domain, or null after a failure, which is then shown in the dialog. */
  async function create(start: boolean): Promise<DomainView | null> {
    busy.value = true
    failure.value = null
    const spec: DomainSpecInput = { ...draft }
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

  return { draft, image, fault, diskFault, groupFault, failure, busy, create }
}
