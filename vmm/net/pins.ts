/** Programs keep what a name led to for a little longer than they were told, milliseconds. */
const GRACE_MS = 60_000
/** Pins of one guest at most; the oldest give way. */
const PINS_MOST = 4096
/** Names of one address at most. */
const NAMES_MOST = 16

/** Which DNS names lead to which address for one guest, and until when: rules by name hold for these addresses only. */
export class Pins {
  readonly #byAddress = new Map<number, Map<string, number>>()

  constructor(private readonly now: () => number) {}

  add(name: string, address: number, ttlSeconds: number): void {
    const names = this.#byAddress.get(address) ?? new Map<string, number>()
    this.#byAddress.delete(address)
    this.#byAddress.set(address, names)
    names.delete(name)
    names.set(name, this.now() + ttlSeconds * 1000 + GRACE_MS)
    dropFirst(names, NAMES_MOST)
    dropFirst(this.#byAddress, PINS_MOST)
  }

  /** Names that lead to the address now. */
  namesOf(address: number): readonly string[] {
    const names = this.#byAddress.get(address)
    if (!names) return []
    const now = this.now()
    for (const [name, until] of names) if (until <= now) names.delete(name)
    if (names.size === 0) this.#byAddress.delete(address)
    return [...names.keys()]
  }
}

function dropFirst(map: Map<unknown, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return
    map.delete(key)
  }
}
