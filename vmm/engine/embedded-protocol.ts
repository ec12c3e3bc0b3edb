import type { Counters } from '../model/counters'
import type { Failure } from '../model/errors'
import type { MachineSpec } from './machine-spec'

/** Serial ports of an embedded machine: the console and the agent's. */
export const CONSOLE_PORT = 0
export const AGENT_PORT = 1

/** Console bytes sent to main and not yet acknowledged at which the guest is held back. */
export const CONSOLE_WINDOW = 1024 * 1024

/** Bytes to one viewer of the screen, sent to main and not yet acknowledged, at which no further picture is made. */
export const VIEWER_WINDOW = 1024 * 1024

/** Requests carry a number that the reply repeats. */
export type GuestRequest =
  | { type: 'start'; seq: number; spec: MachineSpec; frameLinks: readonly string[]; filesAddress: string }
  | { type: 'pause'; seq: number }
  | { type: 'resume'; seq: number }
  /** With `moment`, main is told when the guest stands still, and says when it may go on. */
  | { type: 'save'; seq: number; file: string; compress: boolean; layerCopy: string | null; moment: boolean }
  | { type: 'copy-layer'; seq: number; to: string | null; moment: boolean }
  | { type: 'counters'; seq: number }
  | { type: 'set-link'; seq: number; up: boolean }
  /** Answered with a PNG file. */
  | { type: 'screenshot'; seq: number }

/** From main to a guest process. */
export type ToGuest =
  | GuestRequest
  /** What main had to do while the guest stood still is done, or has failed. */
  | { type: 'moment-over'; seq: number; failure: Failure | null }
  | { type: 'serial'; port: number; bytes: Uint8Array }
  /** Main has taken this many more console bytes. */
  | { type: 'taken'; bytes: number }
  /** A viewer of the screen comes or goes; its number is never used again. */
  | { type: 'viewer-open'; viewer: number }
  | { type: 'viewer-close'; viewer: number }
  /** What a viewer says; not more is sent before the guest process has said that it took this. */
  | { type: 'viewer'; viewer: number; bytes: Uint8Array }
  /** A viewer has taken this many more bytes. */
  | { type: 'viewer-taken'; viewer: number; bytes: number }

/** From a guest process to main. */
export type FromGuest =
  | { type: 'reply'; seq: number; ok: true; value: unknown }
  | { type: 'reply'; seq: number; ok: false; failure: Failure }
  /** The guest stands still for the request of that number. */
  | { type: 'moment'; seq: number }
  | { type: 'serial'; port: number; bytes: Uint8Array }
  | { type: 'counters'; counters: Counters }
  /** The guest halted with interrupts off: it will never run again. */
  | { type: 'halted' }
  /** The guest rebooted; v86 cannot boot twice in one process. */
  | { type: 'reset' }
  /** The host refused a write to the disk; the guest waits until it is resumed. */
  | { type: 'stalled'; reason: string }
  /** What a viewer of the screen is told. */
  | { type: 'viewer'; viewer: number; bytes: Uint8Array }
  /** The guest process has taken this many more bytes of a viewer. */
  | { type: 'viewer-took'; viewer: number; bytes: number }
  /** A viewer said what is not RFB, and is not served any more. */
  | { type: 'viewer-closed'; viewer: number; reason: string }
