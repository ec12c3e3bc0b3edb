import type { TaskView } from '../contract'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { TaskPlan, TaskService } from './tasks'

/** Starts a task that has `domain` to itself: no other one can begin until it has ended. */
export async function exclusiveTask(
  parts: { domains: DomainService; tasks: TaskService },
  domain: Domain,
  plan: Omit<TaskPlan, 'domainId'>,
): Promise<TaskView> {
  domain.taskId = 'starting' // taken before anything is awaited
  const free = () => {
    domain.taskId = null
    parts.domains.publish(domain)
  }
  let ended = false
  try {
    const view = await parts.tasks.start({
      ...plan,
      domainId: domain.id,
      work: async (context) => {
        try {
          return await plan.work(context)
        } finally {
          ended = true
          free()
        }
      },
    })
    if (!ended) domain.taskId = view.id
    parts.domains.publish(domain)
    return view
  } catch (error) {
    free()
    throw error
  }
}
