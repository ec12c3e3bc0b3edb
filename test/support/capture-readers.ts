import { execFileSync, spawnSync } from 'node:child_process'

/** Why a reader of captures is not here, for the title of a skipped test; '' when it is. */
export const NO_TCPDUMP = spawnSync('tcpdump', ['--version']).status === 0 ? '' : '(needs tcpdump)'
export const NO_TSHARK = spawnSync('tshark', ['--version']).status === 0 ? '' : '(needs tshark)'

/** A packet as another program read it. */
export interface ReadPacket {
  /** Since 1970, microseconds. */
  timeUs: number
  bytes: number
  interface: string
  protocols: string
  malformed: boolean
  comment: string
}

const OUTPUT_MOST = 256 * 1024 * 1024
const FIELDS = [
  'frame.time_epoch',
  'frame.len',
  'frame.interface_name',
  'frame.protocols',
  '_ws.malformed',
  'frame.comment',
]

export function readWithTshark(file: string): ReadPacket[] {
  const fields = FIELDS.flatMap((field) => ['-e', field])
  const text = execFileSync('tshark', ['-n', '-r', file, '-T', 'fields', '-E', 'separator=|', ...fields], {
    encoding: 'utf8',
    maxBuffer: OUTPUT_MOST,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [time = '', bytes = '', name = '', protocols = '', malformed = '', comment = ''] = line.split('|')
      const [seconds = '', fraction = ''] = time.split('.')
      return {
        timeUs: Number(seconds) * 1e6 + Number(fraction.slice(0, 6)),
        bytes: Number(bytes),
        interface: name,
        protocols,
        malformed: malformed !== '',
        comment,
      }
    })
}

/** The lines that tcpdump prints, one for each packet, and what it complained of. */
export function readWithTcpdump(file: string): { lines: string[]; complaints: string } {
  const { stdout, stderr, status } = spawnSync('tcpdump', ['-nn', '-tt', '-r', file], {
    encoding: 'utf8',
    maxBuffer: OUTPUT_MOST,
  })
  const complaints = stderr
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('reading from file') && !line.startsWith('Warning: '))
  if (status !== 0) complaints.push(`status ${status}`)
  return { lines: stdout.split('\n').filter((line) => line !== ''), complaints: complaints.join('\n') }
}
