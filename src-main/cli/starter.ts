import type { CliSession } from './session'
import { findImage } from './find'
import { followTask } from './follow-task'

/** The image called `name`, or the starter image, prepared first where it is missing. */
export async function imageOrStarter(cli: CliSession, name?: string, stopped?: AbortSignal): Promise<string> {
  if (name !== undefined) return (await findImage(cli, name)).id
  const { starter } = await cli.call('app.info', {})
  if (starter.ready) return starter.imageId
  return (await followTask(cli, await cli.call('images.prepareStarter', {}), stopped)).resultId
}
