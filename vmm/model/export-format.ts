/**
 * What a domain can be exported as: one of its disks in a format, or all of it as an appliance.
 * - `qcow2` for QEMU, `vmdk` for VMware, `vdi` for VirtualBox, `vhdx` for Hyper-V, `raw` for everything
 * - `ova`: all disks and the hardware, for VirtualBox and VMware
 */
export const EXPORT_FORMATS = ['qcow2', 'raw', 'vmdk', 'vdi', 'vhdx', 'ova'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]
export type DiskExportFormat = Exclude<ExportFormat, 'ova'>

/** The usual endings of file names; the first of a format is given to new files. */
const ENDINGS: readonly [ending: string, format: ExportFormat][] = [
  ['qcow2', 'qcow2'],
  ['img', 'raw'],
  ['raw', 'raw'],
  ['vmdk', 'vmdk'],
  ['vdi', 'vdi'],
  ['vhdx', 'vhdx'],
  ['ova', 'ova'],
]

/** The format that a file name stands for, or undefined. */
export function exportFormatOf(name: string): ExportFormat | undefined {
  return ENDINGS.find(([ending]) => name.toLowerCase().endsWith(`.${ending}`))?.[1]
}

/** The usual ending of a format's file names, without the dot. */
export function exportEnding(format: ExportFormat): string {
  return ENDINGS.find((entry) => entry[1] === format)?.[0] ?? format
}
