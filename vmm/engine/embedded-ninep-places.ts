/** A name in a folder, or the top of a tree: what a guest's handle can be found by, wherever renames take it. */
export class Place {
  readonly children = new Map<string, Place>()
  /** Handles and places that need it. */
  #needed = 0
  #parent: Place | null = null
  #name = ''
  #gone = false

  /** The names that lead here from the top; null when there is no way any more. */
  get path(): string[] | null {
    if (this.#parent === null) return this.#gone ? null : []
    const above = this.#parent.path
    above?.push(this.#name)
    return above
  }

  child(name: string): Place {
    const known = this.children.get(name)
    if (known !== undefined) return known
    const made = new Place()
    made.#put(this, name)
    return made
  }

  hold(): this {
    this.#needed++
    return this
  }

  /** Forgotten when nobody needs it. */
  drop(): void {
    this.#needed--
    if (this.#needed === 0) this.#take()
  }

  /** The name was removed. */
  remove(): void {
    this.#take()
    this.#gone = true
  }

  /** The name became another, in the place of what had that. */
  move(folder: Place, name: string): void {
    const replaced = folder.children.get(name)
    if (replaced === this) return
    replaced?.remove()
    this.#take()
    this.#put(folder, name)
  }

  #put(folder: Place, name: string): void {
    this.#parent = folder.hold()
    this.#name = name
    folder.children.set(name, this)
  }

  #take(): void {
    const parent = this.#parent
    if (parent === null) return
    this.#parent = null
    parent.children.delete(this.#name)
    parent.drop()
  }
}
