// Keeps an Xvfb as long as its own standard input is open, so that it ends with whoever started it, however that
// ends. Prints the number of the display.
import { spawn } from 'node:child_process'

const xvfb = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1440x900x24', '-nolisten', 'tcp'], {
  stdio: ['ignore', 'ignore', 'ignore', process.stdout],
})
xvfb.once('exit', () => process.exit(1))
process.stdin.resume().once('end', () => xvfb.kill())
