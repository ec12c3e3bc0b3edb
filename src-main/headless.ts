import { parseArgs } from 'node:util'
import { toFailure, VmmError } from '../vmm/model/errors'
import { runHeadless } from './run-headless'

/** Entry of the headless main: `node headless.js [--port N] [--on-demand]`. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { port: { type: 'string', default: '0' }, 'on-demand': { type: 'boolean', default: false } },
  })
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new VmmError('invalid', `'${values.port}' is not a port.`, { hint: 'Give a number from 0 to 65535.' })
  }
  await runHeadless({ port, onDemand: values['on-demand'] })
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    const { message, hint, detail } = toFailure(error, 'start Vivarium')
    console.error([message, hint, detail].filter(Boolean).join('\n'))
    process.exit(1)
  },
)
