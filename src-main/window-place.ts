import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import * as v from 'valibot'

/** Where the window was, in screen pixels. */
const PlaceSchema = v.object({
  x: v.pipe(v.number(), v.integer()),
  y: v.pipe(v.number(), v.integer()),
  width: v.pipe(v.number(), v.integer(), v.minValue(640), v.maxValue(20_000)),
  height: v.pipe(v.number(), v.integer(), v.minValue(480), v.maxValue(20_000)),
  maximized: v.boolean(),
})
export type WindowPlace = v.InferOutput<typeof PlaceSchema>

/** A part of the desktop, in the same pixels. */
export interface Area {
  x: number
  y: number
  width: number
  height: number
}

/** How much of the title bar must be on a display for the window to be reachable. */
const REACHABLE = 80

/** The remembered place, or null when there is none, it cannot be read, or no display shows it any more. */
export function readPlace(file: string, displays: readonly Area[]): WindowPlace | null {
  try {
    const place = v.parse(PlaceSchema, JSON.parse(readFileSync(file, 'utf8')))
    return displays.some((display) => reachable(place, display)) ? place : null
  } catch {
    return null
  }
}

/** Remembers `place`; a failure is of no consequence. */
export function writePlace(file: string, place: WindowPlace): void {
  try {
    writeFileSync(`${file}.new`, JSON.stringify(place), { mode: 0o600 })
    renameSync(`${file}.new`, file)
  } catch {
    // the next window opens at the usual place
  }
}

function reachable(place: WindowPlace, display: Area): boolean {
  const across = Math.min(place.x + place.width, display.x + display.width) - Math.max(place.x, display.x)
  return across >= REACHABLE && place.y >= display.y && place.y <= display.y + display.height - REACHABLE
}
