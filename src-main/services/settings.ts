import * as v from 'valibot'
import { SettingsView, type CheckedArgs } from '../contract'
import type { Storage } from '../../storage'
import type { Broadcast } from './broadcast'

const DEFAULTS: SettingsView = {
  theme: 'system',
  consoleFontSize: 13,
  welcomed: false,
  dnsServers: [],
  sealing: true,
  sealDisks: false,
  groupLimits: [],
}

/** What a person has chosen, the same in every window. */
export class SettingsService {
  #settings: SettingsView = DEFAULTS
  readonly #listeners: ((settings: SettingsView) => void)[] = []

  constructor(
    private readonly storage: Storage,
    private readonly broadcast: Broadcast,
  ) {}

  /** Calls `listener` with what is chosen, now and after each change. */
  follow(listener: (settings: SettingsView) => void): void {
    this.#listeners.push(listener)
    listener(this.#settings)
  }

  /** A stored value that is not valid any more falls back to its default. */
  async load(): Promise<void> {
    for (const [key, value] of Object.entries(await this.storage.settings.all())) {
      const candidate = v.safeParse(SettingsView, { ...this.#settings, [key]: value })
      if (candidate.success) this.#settings = candidate.output
    }
  }

  get(): SettingsView {
    return this.#settings
  }

  async update(change: CheckedArgs<'settings.update'>): Promise<SettingsView> {
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
    await this.storage.settings.put(given)
    this.#settings = { ...this.#settings, ...given }
    this.broadcast.publish({ topic: 'settings', payload: this.#settings })
    for (const listener of this.#listeners) listener(this.#settings)
    return this.#settings
  }
}
