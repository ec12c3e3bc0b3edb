export interface Reach {
  /** Files that the record names itself. */
  heads: readonly string[]
  /** All files that it leads to. */
  files: readonly string[]
}

/** Who needs which content file: records by their ids, and machines by their domains. */
export class LayerUse {
  /** Null until every record was told: before that, nothing is known to be free. */
  #records: Map<string, Reach> | null = null
  readonly #machines = new Map<string, readonly string[]>()

  /** Whether it is known of every file who needs it. */
  get isComplete(): boolean {
    return this.#records !== null
  }

  tellAll(records: Map<string, Reach>): void {
    this.#records = records
  }

  /** There is something of which it is not known what it needs. */
  lose(): void {
    this.#records = null
  }

  tell(record: string, reach: Reach): void {
    this.#records?.set(record, reach)
  }

  /** The record is gone; returns what it led to. */
  forget(record: string): readonly string[] {
    const files = this.#records?.get(record)?.files ?? []
    this.#records?.delete(record)
    return files
  }

  opened(machine: string, files: readonly string[]): void {
    this.#machines.set(machine, [...(this.#machines.get(machine) ?? []), ...files])
  }

  closed(machine: string): void {
    this.#machines.delete(machine)
  }

  isOpen(file: string): boolean {
    return [...this.#machines.values()].some((files) => files.includes(file))
  }

  isNeeded(file: string): boolean {
    return this.isOpen(file) || this.files().includes(file)
  }

  /** Whether a record names the file itself, as what it holds. */
  isHead(file: string): boolean {
    return [...(this.#records?.values() ?? [])].some(({ heads }) => heads.includes(file))
  }

  files(): string[] {
    return [...new Set([...(this.#records?.values() ?? [])].flatMap(({ files }) => files))]
  }

  /** The file is in no chain any more. */
  drop(file: string): void {
    for (const [id, { heads, files }] of this.#records ?? []) {
      this.#records?.set(id, { heads, files: files.filter((each) => each !== file) })
    }
  }
}
