import { describe, expect, test } from 'vitest'
import { LockTable } from '../../vmm/files/ninep-locks'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import { NinepClient } from '../support/ninep-client'

const begin = async () => {
  const provider = new MemoryProvider()
  const { client, session } = NinepClient.on({ tree: () => provider, locks: new LockTable() })
  return { provider, client, session, root: await client.begin() }
}

describe('a session', () => {
  test('makes, writes and reads a file', async () => {
    const { client, root } = await begin()

    const made = await client.create(root, 'a')
    await client.write(made, 'hello')
    await client.clunk(made)

    expect((await client.read(await client.open(root, 'a'))).toString()).toBe('hello')
  })
})
