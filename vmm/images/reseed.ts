/**
 * `reseed`: a static i386 Linux program for the guest, built here because busybox has nothing like it. It takes 32
 * to 256 random bytes from stdin, credits them to the kernel's pool (RNDADDENTROPY) and has the generator take a
 * new key from the pool at once (RNDRESEEDCRNG). Writing to /dev/urandom alone would only mix them in for a reseed
 * minutes later. Exit status 0 when both worked, else 1. (Linux: random(4), include/uapi/linux/random.h.)
 *
 * On the stack: struct rand_pool_info {int entropy_bits; int bytes; char buffer[256]}. esi counts the bytes read.
 */
const PROGRAM: readonly [bytes: string, assembly: string][] = [
  ['81 ec 08 01 00 00', '        sub esp, 264'],
  ['31 f6', '                    xor esi, esi'],
  ['b8 03 00 00 00', '   more: mov eax, 3          ; read'],
  ['31 db', '                    xor ebx, ebx        ; stdin'],
  ['8d 4c 34 08', '              lea ecx, [esp+esi+8]'],
  ['ba 00 01 00 00', '           mov edx, 256'],
  ['29 f2', '                    sub edx, esi'],
  ['74 0c', '                    jz enough'],
  ['cd 80', '                    int 0x80'],
  ['85 c0', '                    test eax, eax'],
  ['78 58', '                    js fail'],
  ['74 04', '                    jz enough           ; end of input'],
  ['01 c6', '                    add esi, eax'],
  ['eb e0', '                    jmp more'],
  ['83 fe 20', ' enough: cmp esi, 32'],
  ['72 4d', '                    jb fail'],
  ['89 74 24 04', '              mov [esp+4], esi    ; bytes'],
  ['8d 04 f5 00 00 00 00', '     lea eax, [esi*8]'],
  ['89 04 24', '                 mov [esp], eax      ; entropy_bits'],
  ['b8 05 00 00 00', '           mov eax, 5          ; open'],
  ['bb da 80 04 08', '           mov ebx, path'],
  ['b9 02 00 00 00', '           mov ecx, 2          ; O_RDWR'],
  ['cd 80', '                    int 0x80'],
  ['85 c0', '                    test eax, eax'],
  ['78 2a', '                    js fail'],
  ['89 c3', '                    mov ebx, eax'],
  ['b8 36 00 00 00', '           mov eax, 54         ; ioctl'],
  ['b9 03 52 08 40', '           mov ecx, 0x40085203 ; RNDADDENTROPY'],
  ['89 e2', '                    mov edx, esp'],
  ['cd 80', '                    int 0x80'],
  ['85 c0', '                    test eax, eax'],
  ['78 16', '                    js fail'],
  ['b8 36 00 00 00', '           mov eax, 54         ; ioctl'],
  ['b9 07 52 00 00', '           mov ecx, 0x5207     ; RNDRESEEDCRNG'],
  ['31 d2', '                    xor edx, edx'],
  ['cd 80', '                    int 0x80'],
  ['85 c0', '                    test eax, eax'],
  ['78 04', '                    js fail'],
  ['31 db', '                    xor ebx, ebx'],
  ['eb 05', '                    jmp exit'],
  ['bb 01 00 00 00', '   fail: mov ebx, 1'],
  ['b8 01 00 00 00', '   exit: mov eax, 1          ; exit'],
  ['cd 80', '                    int 0x80'],
  ['2f 64 65 76 2f 75 72 61 6e 64 6f 6d 00', 'path: db "/dev/urandom", 0'],
]

const LOAD_ADDRESS = 0x0804_8000
const HEADER_BYTES = 52 + 32

/** The program as an ELF file: one header, one loadable segment that holds the whole file. */
export function reseedProgram(): Buffer {
  const code = Buffer.from(PROGRAM.map(([bytes]) => bytes.replaceAll(' ', '')).join(''), 'hex')
  const size = HEADER_BYTES + code.length
  const file = Buffer.alloc(size)
  file.write('7f454c46010101', 'hex') // 32-bit, little-endian, version 1
  file.writeUInt16LE(2, 16) // ET_EXEC
  file.writeUInt16LE(3, 18) // EM_386
  file.writeUInt32LE(1, 20) // EV_CURRENT
  file.writeUInt32LE(LOAD_ADDRESS + HEADER_BYTES, 24) // entry point
  file.writeUInt32LE(52, 28) // where the program headers are
  file.writeUInt16LE(52, 40) // size of this header
  file.writeUInt16LE(32, 42) // size of a program header
  file.writeUInt16LE(1, 44) // number of program headers
  file.writeUInt32LE(1, 52) // PT_LOAD
  file.writeUInt32LE(0, 56) // from the start of the file
  file.writeUInt32LE(LOAD_ADDRESS, 60)
  file.writeUInt32LE(LOAD_ADDRESS, 64)
  file.writeUInt32LE(size, 68) // bytes in the file
  file.writeUInt32LE(size, 72) // bytes in memory
  file.writeUInt32LE(5, 76) // readable and executable
  file.writeUInt32LE(0x1000, 80) // alignment
  code.copy(file, HEADER_BYTES)
  return file
}
