import { computed, ref, shallowRef } from 'vue'
import { REGISTRY_DATA_LIMIT, type FailureView, type RegistryDataView } from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'
import { bytesOf, draftOf, editorOf, renotated, REG, type DataDraft, type Notation } from './registry-data'

const NAME_LENGTH = 16_383
const EMPTY = new Uint8Array()

/** A value as it is edited. `name` null makes a new one, as long as `taken` does not have its name. */
export function useValueDraft(id: string, key: string, name: string | null, taken: readonly string[]) {
  const app = useApp()
  const newName = ref('')
  const type = ref<number>(REG.SZ)
  const stored = shallowRef<RegistryDataView | null>(null)
  const draft = shallowRef<DataDraft>(draftOf(REG.SZ, EMPTY))
  const failure = shallowRef<FailureView | null>(null)
  const reading = ref(name !== null)

  const size = computed(() => stored.value?.size ?? 0)
  /** Too large to be set in one call, so it is only looked at. */
  const readOnly = computed(() => size.value > REGISTRY_DATA_LIMIT)

  async function read(): Promise<void> {
    if (name === null) return
    reading.value = true
    try {
      const told = await app.call('registry.value', { id, key, name })
      stored.value = told
      type.value = told.type
      draft.value = told.size > REGISTRY_DATA_LIMIT ? { ...draftOf(REG.BINARY, EMPTY) } : draftOf(told.type, told.bytes)
      failure.value = null
    } catch (thrown) {
      failure.value = failureOf(thrown)
    }
    reading.value = false
  }

  /** A part of the stored data, at most 1 MiB from `offset` on. */
  const part = async (offset: number): Promise<Uint8Array> =>
    (await app.call('registry.value', { id, key, name: name ?? '', offset })).bytes

  /** Another type for a new value: what was typed stays where it means something there. */
  function retype(next: number): void {
    const { editor } = draft.value
    type.value = next
    const same = editorOf(next) === editor
    draft.value = same ? draft.value : draftOf(next, EMPTY)
  }

  const write = (text: string): void => void (draft.value = { ...draft.value, text })
  function renotate(to: Notation): void {
    const { text, notation } = draft.value
    draft.value = { ...draft.value, text: renotated(text, notation, to), notation: to }
  }

  const nameFault = computed(() => {
    if (name !== null) return ''
    if (newName.value.length > NAME_LENGTH) return `The name of a value has at most ${NAME_LENGTH} characters.`
    const twin = taken.some((other) => other.toUpperCase() === newName.value.toUpperCase())
    return twin ? 'The key has a value of this name.' : ''
  })
  const encoded = computed(() => bytesOf(type.value, draft.value))
  const dataFault = computed(() => {
    if ('fault' in encoded.value) return encoded.value.fault
    return encoded.value.bytes.length > REGISTRY_DATA_LIMIT ? 'A value is set to at most 1 MiB here.' : ''
  })
  /** Why it cannot be saved, or ''. */
  const reason = computed(() => {
    if (readOnly.value) return 'Values over 1 MiB are only shown; import a file to change them.'
    return reading.value ? 'It is being read.' : nameFault.value || dataFault.value
  })

  /** Whether it was saved; `failure` tells why not. */
  async function save(): Promise<boolean> {
    if (reason.value || 'fault' in encoded.value) return false
    const data = encoded.value.bytes
    try {
      await app.call('registry.setValue', { id, key, name: name ?? newName.value, type: type.value, data })
      return true
    } catch (thrown) {
      failure.value = failureOf(thrown)
      return false
    }
  }

  return {
    newName,
    type,
    draft,
    size,
    readOnly,
    failure,
    reading,
    nameFault,
    dataFault,
    reason,
    read,
    part,
    retype,
    write,
    renotate,
    save,
  }
}
