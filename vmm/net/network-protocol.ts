import type { Failure } from '../model/errors'
import type { Forward } from '../model/network'
import type { NetworkRule, SandboxPolicy } from '../model/policy'
import type { PacketSummary } from './capture-recent'
import type { Note } from './notes'
import type { PortConfig, PortCounters } from './port-config'

/** What main tells the network's worker, and what that tells main. Addresses are unsigned 32-bit numbers. */

export interface SegmentConfig {
  /** '' is the network of the gateway. */
  name: string
  subnet: { address: number; bits: number }
  /** Whether it leads to the host's network. */
  uplink: boolean
}

/** What the worker knows of a domain that runs. */
export interface DomainConfig {
  domainId: string
  name: string
  group: string
  policy: SandboxPolicy
  /** Rules for this run only; they come first. */
  once: readonly NetworkRule[]
}

export interface MirrorConfig {
  id: string
  /** Ids of ports; they may be absent for now. */
  source: string
  target: string
  stage: 'before' | 'after'
  direction: 'both' | 'up' | 'down'
}

export interface CaptureConfig {
  id: string
  /** A port's id, or the name of a segment of which all ports are captured. */
  source: { port: string } | { segment: string }
  stage: 'before' | 'after'
  /** Absolute; it is there, and empty. */
  folder: string
  snapBytes: number
  fileBytes: number
  files: number
  totalBytes: number
}

export interface PortReport {
  id: string
  linked: boolean
  /** Unix milliseconds; 0 for not in this run. */
  leasedAt: number
  counters: PortCounters
}

export interface ForwardReport {
  domainId: string
  key: string
  /** Null when it listens. */
  failure: Failure | null
}

export interface CaptureReport {
  id: string
  running: boolean
  frames: number
  bytes: number
  dropped: number
  reason: string
  files: { name: string; bytes: number }[]
}

/** Sent a few times a second: levels and counts, whole; notes, what is new. */
export interface NetworkReport {
  at: number
  ports: PortReport[]
  mirrors: { id: string; active: boolean; frames: number; dropped: number }[]
  captures: CaptureReport[]
  notes: Note[]
  /** What was too much to be noted one by one. */
  untold: [domainId: string, count: number][]
}

export interface FlowReport {
  nic: number
  direction: 'out' | 'in'
  protocol: number
  peer: number
  peerName: string
  port: number
  guestPort: number
  allowed: boolean
  rule: string
  upBytes: number
  downBytes: number
  /** Unix milliseconds. */
  startedAt: number
  lastAt: number
}

/** What main can ask. Everything is acknowledged when it holds. */
export interface NetworkCommands {
  setDnsServers(servers: readonly string[]): void
  setSegment(config: SegmentConfig): void
  /** Also for a domain that is known already: its policy is put into force at once. */
  setDomain(config: DomainConfig): void
  removeDomain(domainId: string): void
  /** The guest has rebooted in its machine: it knows nothing of its connections any more. */
  endFlows(domainId: string): void
  /** Plugs a card into a segment; one that is plugged in elsewhere is moved. The domain is known. */
  setPort(config: PortConfig, segment: string): void
  removePort(id: string): void
  /** Opens these and closes others; tells what became of each. The first card on the gateway's network answers. */
  setForwards(domainId: string, forwards: readonly Forward[]): Promise<ForwardReport[]>
  setMirror(config: MirrorConfig): void
  removeMirror(id: string): void
  startCapture(config: CaptureConfig): void
  stopCapture(id: string): Promise<CaptureReport | null>
  /** The busiest flows of a domain, at most `limit`. */
  flows(domainId: string, limit: number): FlowReport[]
  packets(captureId: string, after: number, limit: number): PacketSummary[]
  /** Ends everything; resolves when captures are whole on disk. */
  close(): Promise<void>
}

/** What the worker tells by itself. */
export interface NetworkEvents {
  report(report: NetworkReport): void
}
