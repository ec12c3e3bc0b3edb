import { computed, reactive, ref, shallowRef, watch } from 'vue'
import { DISK_MIB, MEMORY_MIB, NameSchema, type DomainSpecInput, type DomainView, type FailureView } from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'
import { useDomains } from '../stores/domains'
import { useImages } from '../stores/images'
import { useSettings } from '../stores/settings'
import { useTasks } from '../stores/tasks'
import { freeName } from '../stores/trial'
import { faultOf } from './form-faults'

/** 'Debian starter 12.9' gives 'debian-starter'. */
function stemOf(name: string): string {
  const words = name.toLowerCase().split(/[^a-z0-9]+/).filter(Boolean)
  const plain = words.filter((word) => /[a-z]/.test(word))
  return plain.join('-').slice(0, 40).replace(/-$/, '') || 'domain'
}

/** The draft of a new domain, what is wrong with it, and its making. */
export function useNewDomain(wantedImage: string) {
  const app = useApp()
  const domains = useDomains()
  const images = useImages()
  const settings = useSettings()
  const tasks = useTasks()

  const usable = images.list.filter((image) => !image.damage)
  const first = usable.find((image) => image.id === wantedImage) ?? usable.find((image) => image.kind === 'starter') ?? usable[0]
  const engine = app.info?.engines.find((known) => known.works)?.id ?? 'embedded'

  const draft = reactive({
    name: '',
    imageId: first?.id ?? '',
    engine,
    memoryMiB: MEMORY_MIB.usual as number,
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
    if (!Number.isInteger(draft.diskMiB) || draft.diskMiB < 0) return 'A disk size is a whole number of MiB.'
    return draft.diskMiB > DISK_MIB.most ? `A disk has at most ${DISK_MIB.most} MiB.` : ''
  })
  const memoryFault = computed(() =>
    Number.isInteger(draft.memoryMiB) && draft.memoryMiB >= MEMORY_MIB.least && draft.memoryMiB <= MEMORY_MIB.most ? '' : 'Correct the memory size.',
  )
  const fault = computed(
    () => faultOf(NameSchema, draft.name) || (image.value ? '' : 'Choose or import an image first.') || memoryFault.value || diskFault.value,
  )

  /** The new domain, or null after a failure, which is then shown in the dialog. */
  async function create(start: boolean): Promise<DomainView | null> {
    busy.value = true
    failure.value = null
    const spec: DomainSpecInput = { ...draft }
    try {
      const domain = domains.put(await app.call('domains.create', { spec }))
      void settings.update({ welcomed: true })
      if (start) void tasks.follow(await app.call('domains.start', { id: domain.id }))
      return domain
    } catch (thrown) {
      failure.value = failureOf(thrown)
      return null
    } finally {
      busy.value = false
    }
  }

  return { draft, image, fault, diskFault, failure, busy, create }
}
