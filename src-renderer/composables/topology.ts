import type { MirrorView, SegmentPortView, SegmentView } from '../../src-main/contract'

/**
 * The picture of the networks: domains are rows, one below the other; the gateway's network is a bar at their left, each
 * segment a bar at their right. A cable is a straight line from a box to its bar, so none hides another. Lengths are
 * pixels.
 */

export interface Cable {
  port: SegmentPortView
  segment: string
  /** From the box … */
  from: number
  /** … to the bar. */
  to: number
  y: number
  /** Which of the colours of segments it has. */
  colour: number
}

export interface Box {
  id: string
  name: string
  x: number
  y: number
  /** Addresses, in the order of the cards. */
  addresses: string[]
  linked: boolean
  cables: Cable[]
}

export interface Bar {
  segment: string
  subnet: string
  gateway: string
  x: number
  top: number
  bottom: number
  colour: number
}

export interface MirrorArc {
  id: string
  /** From the right edge of one box to that of another. */
  x: number
  from: number
  to: number
  active: boolean
}

export interface Topology {
  width: number
  height: number
  boxes: Box[]
  bars: Bar[]
  arcs: MirrorArc[]
  /** Middle of the cloud and of the gateway. */
  cloud: { x: number; y: number }
  router: { x: number; y: number }
}

export const BOX = { width: 208, height: 46 } as const
export const ROUTER = { width: 128, height: 58 } as const
export const SEGMENT_COLOURS = 5
const ROW = 62
const TOP = 58
const LEFT = 16
const CABLE = 74
/** At the right there is also room for what a mirror is drawn with. */
const RIGHT_CABLE = 104
const LANE = 118
const ROUTER_Y = TOP + 150
/** Distance between the cables of one box on one side. */
const CABLE_GAP = 14

/** Lays the networks out. `mirrors` whose domains are not on them are left out. */
export function layTopology(told: readonly SegmentView[], mirrors: readonly MirrorView[]): Topology {
  const isolated = told.filter(({ name }) => name !== '')
  const segments = [...told.filter(({ name }) => name === ''), ...isolated]
  const barX = LEFT + ROUTER.width + 34
  const boxX = barX + CABLE
  const laneX = (index: number): number => boxX + BOX.width + RIGHT_CABLE + index * LANE
  const rows = arrangeRows(segments)
  const boxes = rows.map(({ id, ports }, row): Box => {
    const y = TOP + row * ROW
    const attach = (port: SegmentPortView, segment: string): Omit<Cable, 'y'> => {
      const lane = isolated.findIndex(({ name }) => name === segment)
      return segment === ''
        ? { port, segment, from: boxX, to: barX, colour: 0 }
        : { port, segment, from: boxX + BOX.width, to: laneX(lane), colour: 1 + (lane % (SEGMENT_COLOURS - 1)) }
    }
    const sides = [ports.filter(({ segment }) => segment === ''), ports.filter(({ segment }) => segment !== '')]
    const cables = sides.flatMap((side) =>
      side.map(({ port, segment }, index) => ({
        ...attach(port, segment),
        y: y + BOX.height / 2 + (index - (side.length - 1) / 2) * Math.min(CABLE_GAP, BOX.height / side.length),
      })),
    )
    return {
      id,
      name: ports[0]?.port.domainName ?? '',
      x: boxX,
      y,
      addresses: ports.map(({ port }) => port.address).filter(Boolean),
      linked: ports.some(({ port }) => port.linked),
      cables,
    }
  })
  const bottom = Math.max(TOP + rows.length * ROW - (ROW - BOX.height), ROUTER_Y + ROUTER.height / 2 + 8)
  const bars = segments.map((segment): Bar => {
    const lane = isolated.indexOf(segment)
    const ys = boxes.flatMap(({ cables }) => cables.filter((cable) => cable.segment === segment.name).map(({ y }) => y))
    const gateway = segment.name === ''
    return {
      segment: segment.name,
      subnet: segment.subnet,
      gateway: segment.gateway,
      x: gateway ? barX : laneX(lane),
      top: gateway ? TOP : Math.min(...ys, TOP + 20) - 8,
      bottom: Math.max(...ys, gateway ? ROUTER_Y : TOP + 40) + 8,
      colour: gateway ? 0 : 1 + (lane % (SEGMENT_COLOURS - 1)),
    }
  })
  return {
    width: (isolated.length > 0 ? laneX(isolated.length - 1) + LANE / 2 : boxX + BOX.width) + LEFT,
    height: bottom + 16,
    boxes,
    bars,
    arcs: arcsOf(mirrors, boxes),
    cloud: { x: LEFT + ROUTER.width / 2, y: TOP + 36 },
    router: { x: LEFT + ROUTER.width / 2, y: ROUTER_Y },
  }
}

interface Row {
  id: string
  ports: { port: SegmentPortView; segment: string }[]
}

/** The domains, those of the gateway's network alone first, then segment by segment, so that bars are short. */
function arrangeRows(segments: readonly SegmentView[]): Row[] {
  const rows = new Map<string, Row & { last: number }>()
  segments.forEach((segment, index) => {
    for (const port of segment.ports) {
      const row = rows.get(port.domainId) ?? { id: port.domainId, ports: [], last: index }
      row.ports.push({ port, segment: segment.name })
      row.last = Math.max(row.last, index)
      rows.set(port.domainId, row)
    }
  })
  const all = [...rows.values()]
  for (const row of all) row.ports.sort((a, b) => a.port.nic - b.port.nic)
  const name = ({ ports }: Row): string => ports[0]?.port.domainName ?? ''
  return all.sort((a, b) => a.last - b.last || name(a).localeCompare(name(b), undefined, { numeric: true }))
}

function arcsOf(mirrors: readonly MirrorView[], boxes: readonly Box[]): MirrorArc[] {
  const middle = new Map(boxes.map((box) => [box.id, box]))
  return mirrors.flatMap(({ id, source, target, active }) => {
    const [from, to] = [middle.get(source.domainId), middle.get(target.domainId)]
    if (!from || !to) return []
    return [{ id, x: from.x + BOX.width, from: from.y + 12, to: to.y + 12, active }]
  })
}

/** How wide a cable is drawn for a rate in bytes a second: from 1.5, one more for ten times as much. */
export function cableWidth(perSecond: number): number {
  return Math.min(6, 1.5 + Math.max(0, Math.log10(Math.max(1, perSecond)) - 2) * 0.9)
}

/** The picture in words. */
export function topologyWords(segments: readonly SegmentView[]): string {
  return segments
    .map(({ name, ports }) => {
      const who = ports.map(({ domainName, plugged }) => (plugged ? domainName : `${domainName} (unplugged)`))
      return `${name || 'Gateway network'}: ${who.length > 0 ? who.join(', ') : 'nobody'}.`
    })
    .join(' ')
}
