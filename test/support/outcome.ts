import type { VmmError } from '../../vmm/model/errors'
import type { Call } from './vivarium'

/** 'done', or the kind of the failure. */
export async function kindOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'done',
    (error: unknown) => (error as VmmError).kind,
  )
}

export async function stateOf(call: Call, id: string): Promise<string> {
  return (await call('domains.get', { id })).state
}
