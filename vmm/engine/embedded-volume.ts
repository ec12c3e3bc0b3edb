import { NbdClient } from '../disks/nbd-client'
import { asVmmError } from '../model/errors'

/** How long its server may take to be there at the start, milliseconds. */
const SERVED_WITHIN_MS = 10_000
const FIRST_SECTOR = 512

/** A disk that is served over NBD, as v86 wants it: reads and writes that end later. */
export class EmbeddedVolume {
  byteLength = 0
  onload: ((event: object) => void) | undefined
  readBytes = 0
  writeBytes = 0
  readOps = 0
  writeOps = 0
  readonly #client: NbdClient
  /** v86 looks at it without waiting. */
  #first: Uint8Array = new Uint8Array(FIRST_SECTOR)
  #refused: (() => void)[] = []
  #failed = false

  private constructor(
    { served, id }: { served: string; id: string },
    private readonly on: {
      /** The host refused something, which waits for `retry`. */
      failure(error: Error): void
      /** There is something for the guest to do. */
      nudge(): void
    },
  ) {
    this.#client = new NbdClient(served, id, (error) => this.#fail(error))
  }

  /** Resolves when the disk is there; throws kind `engine` when it is not served. */
  static async open(place: { served: string; id: string }, on: EmbeddedVolume['on']): Promise<EmbeddedVolume> {
    const volume = new EmbeddedVolume(place, on)
    volume.byteLength = await volume.#client.open(SERVED_WITHIN_MS)
    return volume
  }

  /** Whether something that the host refused waits to be tried again. */
  get stalled(): boolean {
    return this.#failed
  }

  load(): void {
    this.onload?.({})
  }

  get(offset: number, length: number, done: (data: Uint8Array) => void): void {
    this.readBytes += length
    this.readOps++
    this.#read(offset, length, done)
  }

  /** Of the first sector only, as v86 asks for. */
  get_from_cache(offset: number, length: number): Uint8Array | undefined {
    return offset === 0 && length <= FIRST_SECTOR ? this.#first.slice(0, length) : undefined
  }

  get_and_cache(offset: number, length: number, done: (data: Uint8Array) => void): void {
    this.#read(offset, length, (data) => {
      if (offset === 0) this.#first = Uint8Array.from(data.subarray(0, FIRST_SECTOR))
      done(data)
    })
  }

  /** v86 uses its memory again at once, and goes on before this is done when the guest writes without DMA. */
  set(offset: number, data: Uint8Array, done: () => void): void {
    this.writeBytes += data.byteLength
    this.writeOps++
    this.#write(offset, Uint8Array.from(data), done)
  }

  /** Tries again what the host refused. */
  retry(): void {
    if (!this.#failed) return
    this.#failed = false
    this.#client.retry()
    for (const again of this.#refused.splice(0)) again()
  }

  /** The content is not in the machine's state. */
  get_state(): unknown[] {
    return [this.byteLength]
  }

  set_state(): void {}

  /** Resolves when nothing is under way and everything written is kept; the guest must stand still. */
  async flush(): Promise<void> {
    await this.#client.flush()
  }

  close(): void {
    this.#client.close()
  }

  #read(offset: number, length: number, done: (data: Uint8Array) => void): void {
    this.#client.read(offset, length).then(
      (data) => {
        done(data)
        this.on.nudge()
      },
      (error: unknown) => this.#refuse(error, () => this.#read(offset, length, done)),
    )
  }

  #write(offset: number, data: Uint8Array, done: () => void): void {
    this.#client.write(offset, data).then(
      () => {
        done()
        this.on.nudge()
      },
      (error: unknown) => this.#refuse(error, () => this.#write(offset, data, done)),
    )
  }

  /** The guest waits rather than believing in data that is not there. */
  #refuse(error: unknown, again: () => void): void {
    this.#refused.push(again)
    this.#fail(error)
  }

  #fail(error: unknown): void {
    this.#failed = true
    this.on.failure(asVmmError(error, 'use the disk'))
  }
}
