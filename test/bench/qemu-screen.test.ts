import { once } from 'node:events'
import { connect } from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { ConsoleText } from '../support/console-text'
import { findCommand } from '../support/display'
import { importFiles, removeDomains, startReal } from '../support/real-inputs'
import { ScreenViewer, type Encoding, type ScreenWire } from '../support/screen-viewer'
import { seedStarter, testStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { openVivarium, type TestVivarium } from '../support/vivarium'
import { note, report } from './figures'

const ROUNDS = 5
const MEASURE_MS = 4000
const NO_QEMU = findCommand('qemu-system-x86_64') ? '' : '(needs qemu-system-x86_64)'
/** VESA's mode of 1024 by 768 pixels at 32 bits, as a Linux kernel's `vga=` wants it; the shell is on the serial port. */
const CMDLINE = 'console=tty0 console=ttyS0 quiet vga=0x344 tsc=reliable no_timer_check mitigations=off'
const FRAME_BYTES = 1024 * 768 * 4

describe.skipIf(NO_QEMU !== '')(`a full screen of 1024 by 768 that changes ${NO_QEMU}`, () => {
  const folder = temporaryFolderForFile()
  let vivarium: TestVivarium
  let id = ''
  let console: ConsoleText

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder)
    const { kernel, initrd } = await testStarter()
    const imageId = await importFiles(vivarium.call, [kernel, initrd], CMDLINE)
    id = await startReal(vivarium.call, 'qemu', imageId, { memoryMiB: 256 })
    console = new ConsoleText(vivarium.call, id)
    await console.expect(/root@/)
    // two pictures of flat fields, as of windows, which have no pixel in common
    await console.type(
      `stty -echo; cd /tmp; field() { awk -v p=$1 -v q=$2 'BEGIN { for (i = 0; i < 1024; i++) printf "%s", int(i / 32) % 2 ? p : q }'; }; ` +
        `picture() { yes "$(field $1 $2)" | tr -d '\\n' | head -c ${FRAME_BYTES}; }; ` +
        `picture z@8x @z8x > a; picture 8@zx zz@x > b; ls -l a b; stat -c kept-%t /dev/fb0\r`,
    )
    await console.expect(/kept-1d/)
    await console.type(
      `echo 0 > drawn; n=0; while :; do cat a > /dev/fb0; cat b > /dev/fb0; n=$((n + 2)); echo $n > drawn; done 2>/dev/null &\r`,
    )
  })

  afterAll(async () => {
    await removeDomains(vivarium.call)
    await vivarium.close()
  })

  test.each(['raw', 'tight', 'zrle'] as const satisfies Encoding[])('in %s', async (encoding) => {
    const direct = await measure(await ScreenViewer.over(await screenOnSocket(), encoding))
    const { frames, megabytes, drawn, size } = await measure(await ScreenViewer.open(vivarium.call, id, encoding))
    report({ name: `${size} in ${encoding}`, values: frames, unit: ' frames/s', atLeast: 30 })
    note({ name: 'the same without main between', values: direct.frames, unit: ' frames/s' })
    note({ name: `${encoding} on the wire`, values: megabytes, unit: ' MB/s' })
    note({ name: 'drawn by the guest meanwhile', values: drawn, unit: ' frames/s' })
  })

  /** Whole frames a second that reach the viewer, which asks for the next when it has the last. */
  async function measure(viewer: ScreenViewer) {
    await viewer.update(false)
    const frames: number[] = []
    const drawn: number[] = []
    const megabytes: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const [before, begun] = [await framesDrawn(), performance.now()]
      let [pixels, bytes] = [0, 0]
      while (performance.now() - begun < MEASURE_MS) {
        const update = await viewer.update(true)
        pixels += update.pixels
        bytes += update.bytes
      }
      const seconds = (performance.now() - begun) / 1000
      frames.push(pixels / (viewer.width * viewer.height) / seconds)
      megabytes.push(bytes / 1e6 / seconds)
      drawn.push(((await framesDrawn()) - before) / ((performance.now() - begun) / 1000))
    }
    await viewer.close()
    return { frames, megabytes, drawn, size: `${viewer.width}x${viewer.height}` }
  }

  /** QEMU's own socket of the screen. */
  async function screenOnSocket(): Promise<ScreenWire> {
    const socket = connect(path.join(folder, 'run', id, 'screen.sock'))
    await once(socket, 'connect')
    const chunks = socket.iterator()
    return {
      write: (bytes) => new Promise((resolve) => socket.write(bytes, resolve)),
      read: async () => ((await chunks.next()).value ?? Buffer.alloc(0)) as Buffer,
      close: () => Promise.resolve(socket.destroy()),
    }
  }

  async function framesDrawn(): Promise<number> {
    await console.type('echo drawn-$(cat drawn)-\r')
    return Number(/\d+/.exec(await console.expect(/drawn-\d+-/))?.[0])
  }
})
