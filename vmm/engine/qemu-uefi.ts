import { access, copyFile, constants, rename, rm } from 'node:fs/promises'
import { VmmError } from '../model/errors'
import { howToInstallQemu } from '../images/qemu-programs'

/** Where systems keep OVMF, the UEFI for virtual machines: its code, and what a new machine remembers. */
const PLACES: readonly { code: string; variables: string }[] = [
  { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  { code: '/usr/share/OVMF/OVMF_CODE.fd', variables: '/usr/share/OVMF/OVMF_VARS.fd' },
  { code: '/usr/share/edk2/ovmf/OVMF_CODE.fd', variables: '/usr/share/edk2/ovmf/OVMF_VARS.fd' },
  { code: '/usr/share/edk2/x64/OVMF_CODE.4m.fd', variables: '/usr/share/edk2/x64/OVMF_VARS.4m.fd' },
  { code: '/usr/share/qemu/ovmf-x86_64-4m-code.bin', variables: '/usr/share/qemu/ovmf-x86_64-4m-vars.bin' },
  ...['/opt/homebrew/share/qemu', '/usr/local/share/qemu', 'C:\\Program Files\\qemu\\share'].map((folder) => ({
    code: `${folder}/edk2-x86_64-code.fd`,
    variables: `${folder}/edk2-i386-vars.fd`,
  })),
]

/** The code of the host's UEFI; kind `unsupported`, with what to install, when there is none. */
export async function uefiCode(): Promise<string> {
  return (await findUefi()).code
}

/** Gives a machine the variables of a new one, unless it has some. */
export async function ensureUefiVariables(file: string): Promise<void> {
  if (await exists(file)) return
  const { variables } = await findUefi()
  const partial = `${file}.partial`
  await rm(partial, { force: true })
  await copyFile(variables, partial, constants.COPYFILE_FICLONE)
  await rename(partial, file)
}

async function findUefi(): Promise<{ code: string; variables: string }> {
  for (const place of PLACES) {
    if ((await exists(place.code)) && (await exists(place.variables))) return place
  }
  throw new VmmError('unsupported', 'There is no UEFI firmware (OVMF) on this host.', {
    hint: `Choose BIOS, or install OVMF. ${howToInstallQemu()}`,
  })
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  )
}
