/**
 * `renew`: a static i386 Linux program for the guest, built here because nothing in the image can do its work, or do
 * it fast: every program started costs an emulated guest more than all of this one, and it is on the way of every
 * instant start. It reads one record from stdin, its pieces ready for the system calls that take them:
 *
 *       0  64  host name
 *      64   1  length of the host name
 *      65  33  line for /etc/machine-id
 *     100  32  struct ifreq: "eth0", ARPHRD_ETHER, the MAC address
 *     132 136  struct rand_pool_info: entropy in bits, 128, then 128 random bytes
 *     268  16  struct __kernel_timespec: the time, UTC
 *
 * and makes them the guest's own. Writing to /dev/urandom would only mix the random bytes in for a reseed minutes later;
 * RNDADDENTROPY and RNDRESEEDCRNG together give the generator a new key at once. A guest without a network card is
 * fine. Exit status 0 when all of it worked, else 1. (Linux: random(4), netdevice(7).)
 */
export const RENEW_RECORD_BYTES = 284

const PROGRAM: readonly [bytes: string, assembly: string][] = [
  ['81 ec 1c 01 00 00', 'start:  sub esp, 284'],
  ['31 f6', '        xor esi, esi'],
  ['b8 03 00 00 00', 'more:   mov eax, 3                  ; read'],
  ['31 db', '        xor ebx, ebx'],
  ['8d 0c 34', '        lea ecx, [esp+esi]'],
  ['ba 1c 01 00 00', '        mov edx, 284'],
  ['29 f2', '        sub edx, esi'],
  ['74 0e', '        jz full'],
  ['cd 80', '        int 0x80'],
  ['85 c0', '        test eax, eax'],
  ['0f 8e d9 00 00 00', '        jle fail'],
  ['01 c6', '        add esi, eax'],
  ['eb df', '        jmp short more'],
  ['b8 4a 00 00 00', 'full:   mov eax, 74                 ; sethostname'],
  ['89 e3', '        mov ebx, esp'],
  ['0f b6 4c 24 40', '        movzx ecx, byte [esp+64]'],
  ['cd 80', '        int 0x80'],
  ['85 c0', '        test eax, eax'],
  ['0f 88 bf 00 00 00', '        js fail'],
  ['b8 94 01 00 00', '        mov eax, 404                ; clock_settime64, CLOCK_REALTIME'],
  ['31 db', '        xor ebx, ebx'],
  ['8d 8c 24 0c 01 00 00', '        lea ecx, [esp+268]'],
  ['cd 80', '        int 0x80'],
  ['85 c0', '        test eax, eax'],
  ['0f 88 a7 00 00 00', '        js fail'],
  ['b8 05 00 00 00', '        mov eax, 5                  ; open'],
  ['bb 5e 81 04 08', '        mov ebx, id'],
  ['b9 41 02 00 00', '        mov ecx, 577                ; O_WRONLY | O_CREAT | O_TRUNC'],
  ['ba a4 01 00 00', '        mov edx, 420                ; 0644'],
  ['cd 80', '        int 0x80'],
  ['85 c0', '        test eax, eax'],
  ['0f 88 89 00 00 00', '        js fail'],
  ['89 c3', '        mov ebx, eax'],
  ['b8 04 00 00 00', '        mov eax, 4                  ; write'],
  ['8d 4c 24 41', '        lea ecx, [esp+65]'],
  ['ba 21 00 00 00', '        mov edx, 33'],
  ['cd 80', '        int 0x80'],
  ['39 d0', '        cmp eax, edx'],
  ['75 73', '        jne fail'],
  ['b8 67 01 00 00', '        mov eax, 359                ; socket'],
  ['bb 02 00 00 00', '        mov ebx, 2                  ; AF_INET'],
  ['89 d9', '        mov ecx, ebx                ; SOCK_DGRAM'],
  ['31 d2', '        xor edx, edx'],
  ['cd 80', '        int 0x80'],
  ['85 c0', '        test eax, eax'],
  ['78 5f', '        js fail'],
  ['89 c3', '        mov ebx, eax'],
  ['b8 36 00 00 00', '        mov eax, 54                 ; ioctl'],
  ['b9 24 89 00 00', '        mov ecx, 0x8924             ; SIOCSIFHWADDR'],
  ['8d 54 24 64', '        lea edx, [esp+100]'],
  ['cd 80', '        int 0x80'],
  ['83 f8 ed', '        cmp eax, -19                ; ENODEV: no such card'],
  ['74 04', '        je pool'],
  ['85 c0', '        test eax, eax'],
  ['78 44', '        js fail'],
  ['b8 05 00 00 00', 'pool:   mov eax, 5                  ; open'],
  ['bb 6e 81 04 08', '        mov ebx, random'],
  ['b9 02 00 00 00', '        mov ecx, 2'],
  ['cd 80', '        int 0x80'],
  ['85 c0', '        test eax, eax'],
  ['78 2f', '        js fail'],
  ['89 c3', '        mov ebx, eax'],
  ['b8 36 00 00 00', '        mov eax, 54                 ; ioctl'],
  ['b9 03 52 08 40', '        mov ecx, 0x40085203         ; RNDADDENTROPY'],
  ['8d 94 24 84 00 00 00', '        lea edx, [esp+132]'],
  ['cd 80', '        int 0x80'],
  ['85 c0', '        test eax, eax'],
  ['78 16', '        js fail'],
  ['b8 36 00 00 00', '        mov eax, 54                 ; ioctl'],
  ['b9 07 52 00 00', '        mov ecx, 0x5207             ; RNDRESEEDCRNG'],
  ['31 d2', '        xor edx, edx'],
  ['cd 80', '        int 0x80'],
  ['85 c0', '        test eax, eax'],
  ['78 04', '        js fail'],
  ['31 db', '        xor ebx, ebx'],
  ['eb 05', '        jmp short exit'],
  ['bb 01 00 00 00', 'fail:   mov ebx, 1'],
  ['b8 01 00 00 00', 'exit:   mov eax, 1                  ; exit'],
  ['cd 80', '        int 0x80'],
  ['2f 65 74 63 2f 6d 61 63 68 69 6e 65 2d 69 64 00', 'id:     db "/etc/machine-id", 0'],
  ['2f 64 65 76 2f 75 72 61 6e 64 6f 6d 00', 'random: db "/dev/urandom", 0'],
]

const LOAD_ADDRESS = 0x0804_8000
const HEADER_BYTES = 52 + 32

/** The program as an ELF file: one header, one loadable segment that holds the whole file. */
export function renewProgram(): Buffer {
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
