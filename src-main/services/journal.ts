import { safeText } from '../../vmm/model/safe-text'
import type { AuditEntry, AuditLevel, Storage } from '../../storage'
import type { Broadcast } from './broadcast'

/** The audit log as the services write it: every state change, every refusal, in words for people. */
export class Journal {
  constructor(
    private readonly storage: Storage,
    private readonly broadcast: Broadcast,
  ) {}

  info(domainId: string | null, event: string, message: string): Promise<void> {
    return this.#append('info', domainId, event, message)
  }

  warning(domainId: string | null, event: string, message: string): Promise<void> {
    return this.#append('warning', domainId, event, message)
  }

  error(domainId: string | null, event: string, message: string): Promise<void> {
    return this.#append('error', domainId, event, message)
  }

  read(query: { domainId?: string | undefined; before?: number | undefined; limit: number }): Promise<AuditEntry[]> {
    return this.storage.audit.read({
      limit: query.limit,
      ...(query.domainId === undefined ? {} : { domainId: query.domainId }),
      ...(query.before === undefined ? {} : { before: query.before }),
    })
  }

  async #append(level: AuditLevel, domainId: string | null, event: string, message: string): Promise<void> {
    const entry = await this.storage.audit.append({
      at: Date.now(),
      domainId,
      event,
      level,
      message: safeText(message, 1000),
    })
    this.broadcast.publish({ topic: 'log', payload: { entry } })
  }
}
