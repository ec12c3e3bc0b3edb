import path from 'node:path'
import type {
  CallArgs,
  CallName,
  CallResult,
  ContractEvent,
  DomainView,
  TaskView,
  Topic,
} from '../../src-main/contract'
import { VmmError } from '../../src-main/contract'
import { openServices, type Services } from '../../src-main/services'
import { forkGuests, type SpawnGuest } from '../../vmm/engine/guest-process'
import { networkThread, type SpawnNetwork } from '../../vmm/net/network'

export type Call = <N extends CallName>(name: N, args: CallArgs<N>) => Promise<CallResult<N>>

/** The worker of the network, as it is built. */
export const realNetwork: SpawnNetwork = networkThread(path.resolve('.vite/build/network.js'))

/** The file process, as it is built. */
export const realFiles: SpawnGuest = forkGuests(path.resolve('.vite/build/files.js'))

/** A Vivarium in this process, with one client. Guests run in processes of their own, as always. */
export interface TestVivarium {
  services: Services
  call: Call
  events: ContractEvent[]
  close(): Promise<void>
}

export async function openVivarium(
  dataFolder: string,
  topics: Topic[] = ['domains', 'tasks'],
  spawnNetwork = realNetwork,
): Promise<TestVivarium> {
  const services = await openServices({
    dataFolder,
    spawnGuest: forkGuests(path.resolve('.vite/build/guest.js')),
    spawnNetwork,
    spawnFiles: realFiles,
    keychain: null,
    shell: { kind: 'headless', show: () => '' },
  })
  const events: ContractEvent[] = []
  const call = newClient(services, (event) => events.push(event))
  await call('events.subscribe', { topics })
  return { services, call, events, close: () => services.close() }
}

/** A further client of the same Vivarium. */
export function newClient(services: Services, send: (event: ContractEvent) => void = () => {}): Call {
  const session = services.attach(send)
  return async (name, args) => {
    const reply = await session.call(name, args)
    if (!reply.ok) throw VmmError.fromFailure(reply.failure)
    return reply.value as CallResult<typeof name>
  }
}

/** Waits until a task has ended; throws its failure. */
export async function finish(call: Call, started: TaskView | Promise<TaskView>): Promise<TaskView> {
  let task = await started
  while (task.state === 'running') task = await call('tasks.wait', { id: task.id, waitMs: 5000 })
  if (task.failure) throw VmmError.fromFailure(task.failure)
  return task
}

/** Deletes a domain that is off, also from the trash. */
export async function deleteForGood(call: Call, id: string): Promise<void> {
  await call('domains.delete', { id })
  await finish(call, call('trash.empty', { ids: [id] }))
}

/** Waits until `check` holds for the domain. */
export async function until(
  call: Call,
  id: string,
  check: (domain: DomainView) => boolean,
  withinMs = 120_000,
): Promise<DomainView> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const domain = await call('domains.get', { id })
    if (check(domain)) return domain
    if (Date.now() > deadline) throw new Error(`still ${domain.state}, agent ${domain.agent}: ${domain.stateReason}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export interface Outcome {
  stdout: string
  stderr: string
  exitCode: number | null
  signal: number | null
}

/** Runs a command in a guest to its end. */
export async function exec(call: Call, id: string, argv: string[], stdin?: string): Promise<Outcome> {
  const bytes = stdin === undefined ? {} : { stdin: Buffer.from(stdin) }
  const { execId } = await call('exec.start', { id, argv, ...bytes })
  const outcome: Outcome = { stdout: '', stderr: '', exitCode: null, signal: null }
  for (;;) {
    const chunk = await call('exec.read', { execId, waitMs: 5000 })
    outcome.stdout += Buffer.from(chunk.stdout).toString()
    outcome.stderr += Buffer.from(chunk.stderr).toString()
    if (chunk.exited) return { ...outcome, exitCode: chunk.exitCode, signal: chunk.signal }
  }
}

/** Runs a shell line in a guest; returns what it printed, trimmed. Fails when the line fails. */
export async function shell(call: Call, id: string, line: string): Promise<string> {
  const { stdout, stderr, exitCode } = await exec(call, id, ['sh', '-c', line])
  if (exitCode !== 0) throw new Error(`'${line}' ended with ${exitCode}: ${stderr}`)
  return stdout.trim()
}

/** A new domain of the starter image, running, with its agent answering. */
export async function startDomain(
  call: Call,
  name: string,
  more: Partial<CallArgs<'domains.create'>['spec']> = {},
): Promise<string> {
  const { resultId: imageId } = await finish(call, call('images.prepareStarter', {}))
  const { id } = await call('domains.create', { spec: { name, engine: 'embedded', imageId, ...more } })
  await finish(call, call('domains.start', { id }))
  await until(call, id, (domain) => domain.agent === 'ready')
  return id
}
