import { FileError } from '../files/file-error'
import type { OpenFile } from '../files/provider'
import type { RegistryValue } from './hive'
import type { RegistryNode } from './registry-nodes'

/** Bytes of a value that a guest writes by way of a file. */
export const VALUE_MOST = 1 << 20

/** What holds the values. */
interface Values {
  value(node: RegistryNode): RegistryValue
  setData(node: RegistryNode, value: RegistryValue, data: Uint8Array): void
}

/** A value opened as a file: every write is checked, and in the registry when it returns. */
export class OpenValue implements OpenFile {
  constructor(
    private readonly provider: Values,
    private readonly node: RegistryNode,
    private readonly flush: () => Promise<void>,
  ) {}

  read(position: number, into: Uint8Array): number {
    const part = this.provider.value(this.node).data.subarray(position, position + into.length)
    into.set(part)
    return part.length
  }

  write(position: number, data: Uint8Array): void {
    const value = this.provider.value(this.node)
    const size = Math.max(value.data.length, position + data.length)
    if (size > VALUE_MOST) throw new FileError('EFBIG', `a value written as a file has at most ${VALUE_MOST} bytes`)
    const whole = new Uint8Array(size)
    whole.set(value.data)
    whole.set(data, position)
    this.provider.setData(this.node, value, whole)
  }

  sync(): Promise<void> {
    return this.flush()
  }

  close(): void {
    // nothing is kept back
  }
}
