import { randomUUID } from 'node:crypto'
import type { TaskView } from '../contract'
import { VmmError } from '../../vmm/model/errors'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { TaskPlan, TaskService } from './tasks'

/** Starts a task that has `domain` to itself: no other one can begin until it has ended. */
export async function exclusiveTask(
  parts: { domains: DomainService; tasks: TaskService },
  domain: Domain,
  plan: Omit<TaskPlan, 'id' | 'domainId'>,
): Promise<TaskView> {
  domain.requireFree()
  const id = randomUUID()
  domain.taskId = id // taken before anything is awaited
  const free = () => {
    domain.taskId = null
    parts.domains.publish(domain)
  }
  try {
    const view = await parts.tasks.start({
      ...plan,
      id,
      domainId: domain.id,
      work: async (context) => {
        try {
          if (context.signal.aborted) throw new VmmError('cancelled', `${plan.title} was cancelled.`)
          return await plan.work(context)
        } finally {
          free()
        }
      },
    })
    parts.domains.publish(domain)
    return view
  } catch (error) {
    free()
    throw error
  }
}
