import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export const GREETING = 'This guest speaks to its screen.'
const FLOPPY_BYTES = 1_474_560
const ORIGIN = 0x7c00

/**
 * A floppy with a guest of some hundred bytes (16-bit x86 and BIOS calls): it writes an R to its serial port, greets on the screen and shows each key
 * that is typed. `g` goes to 320 x 200 and paints it red, `v` to 1024 x 768 and paints its top blue, `t` back to text;
 * `w` waits for 30 vertical retraces and then writes a W to the serial port.
 */
export async function writeScreenFloppy(folder: string): Promise<string> {
  const path = join(folder, 'screen.img')
  const floppy = Buffer.alloc(FLOPPY_BYTES)
  floppy.set(assemble())
  floppy.writeUInt16LE(0xaa55, 510)
  await writeFile(path, floppy)
  return path
}

type Part = number | { label: string } | { near: string } | { address: string }
const at = (label: string): Part => ({ label })
const near = (label: string): Part => ({ near: label })
const print = [0xb4, 0x0e, 0xbb, 0x07, 0x00, 0xcd, 0x10] // mov ah, 0x0e; mov bx, 7; int 0x10

const PROGRAM: readonly Part[] = [
  ...[0x31, 0xc0, 0x8e, 0xd8, 0xfc], // xor ax, ax; mov ds, ax; cld
  ...[0xba, 0xf8, 0x03, 0xb0, 0x52, 0xee], // mov dx, 0x3f8; mov al, 'R'; out dx, al
  ...[at('greet'), 0xbe, { address: 'greeting' }], // mov si, greeting
  ...[at('next'), 0xac, 0x84, 0xc0, 0x74, near('keys')], // lodsb; test al, al; jz keys
  ...[...print, 0xeb, near('next')],
  ...[at('keys'), 0x31, 0xc0, 0xcd, 0x16], // xor ax, ax; int 0x16
  ...[0x3c, 0x67, 0x74, near('graphics')], // cmp al, 'g'; je graphics
  ...[0x3c, 0x76, 0x74, near('vesa')], // cmp al, 'v'; je vesa
  ...[0x3c, 0x74, 0x74, near('text')], // cmp al, 't'; je text
  ...[0x3c, 0x77, 0x74, near('wait')], // cmp al, 'w'; je wait
  ...[...print, 0xeb, near('keys')],
  ...[at('text'), 0xb8, 0x03, 0x00, 0xcd, 0x10, 0xeb, near('greet')], // mov ax, 3; int 0x10
  ...[at('graphics'), 0xb8, 0x13, 0x00, 0xcd, 0x10, 0xb8, 0x04, 0x04, 0xeb, near('paint')], // mode 0x13; red
  ...[at('vesa'), 0xb8, 0x02, 0x4f, 0xbb, 0x18, 0x41, 0xcd, 0x10], // mov ax, 0x4f02; mov bx, 0x4118
  ...[0xb8, 0xff, 0x00], // mov ax, 0x00ff
  ...[at('paint'), 0x50, 0xb8, 0x00, 0xa0, 0x8e, 0xc0, 0x58], // push ax; mov ax, 0xa000; mov es, ax; pop ax
  ...[0x31, 0xff, 0xb9, 0x00, 0x7d, 0xf3, 0xab, 0xeb, near('keys')], // xor di, di; mov cx, 32000; rep stosw
  ...[at('wait'), 0xb8, 0x13, 0x00, 0xcd, 0x10, 0xb9, 0x1e, 0x00, 0xba, 0xda, 0x03], // mode 0x13; mov cx, 30; mov dx, 0x3da
  ...[at('on'), 0xec, 0xa8, 0x08, 0x74, near('on')], // in al, dx; test al, 8; jz on
  ...[at('off'), 0xec, 0xa8, 0x08, 0x75, near('off')], // in al, dx; test al, 8; jnz off
  ...[0xe2, near('on'), 0xba, 0xf8, 0x03, 0xb0, 0x57, 0xee, 0xeb, near('keys')], // loop on; mov dx, 0x3f8; mov al, 'W'; out
  ...[at('greeting'), ...Buffer.from(`${GREETING}\r\n\0`, 'latin1')],
]

function assemble(): Buffer {
  const places = new Map<string, number>()
  let place = 0
  for (const part of PROGRAM) {
    if (typeof part === 'object' && 'label' in part) places.set(part.label, place)
    else place += typeof part === 'object' && 'address' in part ? 2 : 1
  }
  const code: number[] = []
  for (const part of PROGRAM) {
    if (typeof part === 'number') code.push(part)
    else if ('near' in part) code.push(((places.get(part.near) ?? 0) - code.length - 1) & 0xff)
    else if ('address' in part) {
      const address = ORIGIN + (places.get(part.address) ?? 0)
      code.push(address & 0xff, address >> 8)
    }
  }
  return Buffer.from(code)
}
