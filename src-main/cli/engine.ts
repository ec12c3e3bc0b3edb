import { type Command, Option } from 'commander'
import { ENGINE_IDS, type EngineId } from '../../vmm/model/domain'
import { usualDisk, usualEngine, usualMemory } from '../../vmm/model/engine-choice'
import type { EngineView } from '../contract'
import type { CliSession } from './session'
import { table } from './text'

export function engineOption(): Option {
  return new Option('--engine <engine>', 'what runs it; otherwise what suits the image').choices(ENGINE_IDS)
}

/** The engine that was named, or the one that suits the image, with the memory and the disk that go with the two. */
export async function engineFor(
  cli: CliSession,
  named: EngineId | undefined,
  imageId: string,
): Promise<{ engine: EngineId; memoryMiB?: number; diskMiB?: number }> {
  const { engines, starter } = await cli.call('app.info', {})
  const others = starter.imageId === imageId ? [] : await cli.call('images.list', {})
  const kind = others.find(({ id }) => id === imageId)?.kind
  const chosen = named === undefined ? usualEngine(kind, engines) : engines.find(({ id }) => id === named)
  if (!chosen) return { engine: named ?? ENGINE_IDS[0] } // main says what is wrong with it
  const { id: engine, capabilities } = chosen
  return { engine, memoryMiB: usualMemory(kind, capabilities), diskMiB: usualDisk(kind, capabilities) }
}

/** engines: what can run guests here. */
export function addEngineCommand(program: Command, cli: CliSession): void {
  program
    .command('engines')
    .description('show what can run guests here, and why something cannot')
    .option('--again', 'try them anew, as after installing something')
    .action(async ({ again }: { again?: boolean }) => {
      const engines = again ? await cli.call('engines.probe', {}) : (await cli.call('app.info', {})).engines
      cli.print(engines, table(['ENGINE', 'WORKS', 'ISOLATION', 'VERSION', 'NOTE'], engines.flatMap(engineRows)))
    })
}

function engineRows({ id, works, isolation, version, reason, accelerators }: EngineView): string[][] {
  const tried = accelerators.map((each) => [`  ${each.id}`, each.works ? 'yes' : 'no', '', '', each.reason])
  return [[id, works ? 'yes' : 'no', isolation, version, reason], ...tried]
}
