import { MemoryProvider } from '../../vmm/files/provider-memory'
import { tryProvider } from '../support/provider-trial'

tryProvider({ name: 'a tree in memory', make: () => new MemoryProvider() })
