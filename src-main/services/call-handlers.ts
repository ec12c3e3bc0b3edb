import type { CallName, CallResult, CheckedArgs } from '../contract'
import type { ClientSession } from './session'

/** One handler a call; a missing one does not compile. */
export type Handlers = {
  [N in CallName]: (args: CheckedArgs<N>, client: ClientSession) => CallResult<N> | Promise<CallResult<N>>
}
