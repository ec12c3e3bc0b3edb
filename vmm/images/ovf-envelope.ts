import { VmmError } from '../model/errors'
import type { Firmware } from '../model/hardware'

/** What an appliance says of itself. */
export interface Appliance {
  name: string
  cpus: number
  memoryMiB: number
  firmware: Firmware
  disks: {
    /** Name of the file in the archive. */
    file: string
    /** Size of that file. */
    fileBytes: number
    /** Size that the guest sees. */
    bytes: number
  }[]
}

const OVF = 'http://schemas.dmtf.org/ovf/envelope/1'
const CIM = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2'
const VMDK = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized'

/** Numbers of resource types (DMTF DSP1004 and CIM_ResourceAllocationSettingData). */
const RESOURCE = { cpu: 3, memory: 4, ide: 5, ethernet: 10, disk: 17, sata: 20 }
/** Two channels with two disks each, which every guest knows; beyond them, one SATA controller. */
const IDE_DISKS = 4
const SATA_DISKS = 30
const FIRST_CONTROLLER = 3

/** One hardware item; the order of its elements is fixed, by name. */
type Item = Record<string, string | number>

/**
 * The descriptor of an appliance with one machine: OVF 1.0 (DMTF DSP0243), which VirtualBox and VMware both read. There
 * is no manifest: what they accept differs, and both do without one.
 */
export function ovfEnvelope(appliance: Appliance): string {
  const { name, firmware, disks } = appliance
  const files = disks.map(
    (disk, index) =>
      `    <File ovf:href="${escape(disk.file)}" ovf:id="file${index + 1}" ovf:size="${disk.fileBytes}"/>`,
  )
  const sections = disks.map(
    (disk, index) =>
      `    <Disk ovf:capacity="${disk.bytes}" ovf:diskId="vmdisk${index + 1}" ovf:fileRef="file${index + 1}" ovf:format="${VMDK}"/>`,
  )
  const config =
    firmware === 'uefi' ? '\n      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>' : ''
  return `<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0" xml:lang="en-US" xmlns="${OVF}" xmlns:ovf="${OVF}" xmlns:rasd="${CIM}/CIM_ResourceAllocationSettingData" xmlns:vssd="${CIM}/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <References>
${files.join('\n')}
  </References>
  <DiskSection>
    <Info>The disks of the machine</Info>
${sections.join('\n')}
  </DiskSection>
  <NetworkSection>
    <Info>The networks of the machine</Info>
    <Network ovf:name="NAT">
      <Description>NAT</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="${escape(name)}">
    <Info>A virtual machine</Info>
    <Name>${escape(name)}</Name>
    <OperatingSystemSection ovf:id="1">
      <Info>The kind of the guest's system is not known</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>What the machine is made of</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>${escape(name)}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-10</vssd:VirtualSystemType>
      </System>
${hardware(appliance).map(itemXml).join('\n')}${config}
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`
}

function hardware({ cpus, memoryMiB, disks }: Appliance): Item[] {
  const controllers = controllersFor(disks.length)
  const perController = controllers[0]?.['ResourceType'] === RESOURCE.ide ? 2 : SATA_DISKS
  return [
    {
      AllocationUnits: 'hertz * 10^6',
      Description: 'Number of virtual CPUs',
      ElementName: `${cpus} virtual CPU(s)`,
      InstanceID: 1,
      ResourceType: RESOURCE.cpu,
      VirtualQuantity: cpus,
    },
    {
      AllocationUnits: 'byte * 2^20',
      Description: 'Memory size',
      ElementName: `${memoryMiB} MB of memory`,
      InstanceID: 2,
      ResourceType: RESOURCE.memory,
      VirtualQuantity: memoryMiB,
    },
    ...controllers,
    {
      AutomaticAllocation: 'true',
      Connection: 'NAT',
      Description: 'Network card',
      ElementName: 'Network card',
      InstanceID: FIRST_CONTROLLER + controllers.length,
      ResourceSubType: 'E1000',
      ResourceType: RESOURCE.ethernet,
    },
    ...disks.map((_, index): Item => ({
      AddressOnParent: index % perController,
      Description: 'Disk',
      ElementName: `Disk ${index + 1}`,
      HostResource: `ovf:/disk/vmdisk${index + 1}`,
      InstanceID: FIRST_CONTROLLER + controllers.length + 1 + index,
      Parent: FIRST_CONTROLLER + Math.floor(index / perController),
      ResourceType: RESOURCE.disk,
    })),
  ]
}

function controllersFor(disks: number): Item[] {
  if (disks > SATA_DISKS) throw new VmmError('unsupported', `An appliance can have at most ${SATA_DISKS} disks.`)
  const controller = (type: number, subType: string, address: number): Item => ({
    Address: address,
    Description: 'Disk controller',
    ElementName: `Disk controller ${address}`,
    InstanceID: FIRST_CONTROLLER + address,
    ResourceSubType: subType,
    ResourceType: type,
  })
  if (disks > IDE_DISKS) return [controller(RESOURCE.sata, 'AHCI', 0)]
  return [controller(RESOURCE.ide, 'PIIX4', 0), controller(RESOURCE.ide, 'PIIX4', 1)]
}

function itemXml(item: Item): string {
  const elements = Object.entries(item).map(
    ([name, value]) => `        <rasd:${name}>${escape(String(value))}</rasd:${name}>`,
  )
  return `      <Item>\n${elements.join('\n')}\n      </Item>`
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
