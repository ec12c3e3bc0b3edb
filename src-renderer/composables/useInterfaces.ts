import { computed, onBeforeUnmount, shallowRef, watch } from 'vue'
import type { DomainView, InterfaceView } from '../../src-main/contract'
import { useApp } from '../stores/app'

const EVERY_MS = 10_000

/** The addresses at which others may reach a guest, those of IPv4 first. */
export function reachable(interfaces: readonly InterfaceView[]): string[] {
  const all = interfaces
    .flatMap(({ addresses }) => addresses)
    .map((address) => address.replace(/\/\d+$/, ''))
    .filter((address) => !/^(127\.|::1$|fe80:)/i.test(address))
  return [...all.filter((address) => !address.includes(':')), ...all.filter((address) => address.includes(':'))]
}

/** What the guest tells of its addresses, asked again and again while somebody looks. */
export function useInterfaces(domain: () => DomainView) {
  const app = useApp()
  const addresses = shallowRef<string[]>([])
  const answers = computed(() => domain().state === 'running' && domain().agent === 'ready')
  let timer: ReturnType<typeof setInterval> | undefined

  async function read(): Promise<void> {
    if (!answers.value || document.hidden) return
    // asked in passing: what cannot be told now stays as it was
    const told = await app.call('domains.interfaces', { id: domain().id }).catch(() => null)
    if (told) addresses.value = reachable(told)
  }

  watch(
    answers,
    (now) => {
      clearInterval(timer)
      if (!now) addresses.value = []
      else timer = setInterval(() => void read(), EVERY_MS)
      void read()
    },
    { immediate: true },
  )
  onBeforeUnmount(() => clearInterval(timer))

  return addresses
}
