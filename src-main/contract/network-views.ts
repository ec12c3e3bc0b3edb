import * as v from 'valibot'
import { NIC_MODELS } from '../../vmm/model/hardware'
import { ForwardSchema, NIC_MODES } from '../../vmm/model/network'
import { NetworkRuleSchema, SandboxPolicySchema } from '../../vmm/model/policy'

/** What a client sees of networks. Rates are bytes a second, `up` is what a guest sends; times are Unix milliseconds. */

const time = v.number()
const bytes = v.number()
const text = v.string()

export const NicView = v.object({
  /** Counted from 0, as in the domain's hardware. */
  index: v.number(),
  mac: text,
  model: v.picklist(NIC_MODELS),
  mode: v.picklist(NIC_MODES),
  /** '' in gateway mode. */
  segment: text,
  plugged: v.boolean(),
  /** The address reserved for the card on its network. */
  address: text,
  /** Whether frames go to and from a running machine now. */
  linked: v.boolean(),
  /** Whether the guest has asked for its address in this run. */
  leased: v.boolean(),
  /** Since the machine started. */
  upBytes: bytes,
  downBytes: bytes,
  upPerSecond: v.number(),
  downPerSecond: v.number(),
  /** Frames that a full queue, a limit or injected loss cost. */
  dropped: v.number(),
  /** Frames with an address that is not the card's. */
  spoofed: v.number(),
})
export type NicView = v.InferOutput<typeof NicView>

export const ForwardView = v.object({
  ...ForwardSchema.entries,
  /** Names it among all forwards. */
  key: text,
  state: v.picklist(['off', 'listening', 'failed']),
  /** Why it does not listen, with the next step; '' otherwise. */
  reason: text,
})
export type ForwardView = v.InferOutput<typeof ForwardView>

export const NetworkView = v.object({
  id: text,
  nics: v.array(NicView),
  forwards: v.array(ForwardView),
  /** The template that the policy equals, such as 'offline'; '' for one of its own. */
  template: text,
  ruleCount: v.number(),
})
export type NetworkView = v.InferOutput<typeof NetworkView>

export const NetworkSampleView = v.object({
  at: time,
  /** One entry a card, in their order. */
  nics: v.array(v.object({ upPerSecond: v.number(), downPerSecond: v.number() })),
})
export type NetworkSampleView = v.InferOutput<typeof NetworkSampleView>

export const FlowView = v.object({
  nic: v.number(),
  direction: v.picklist(['out', 'in']),
  /** 'tcp', 'udp', 'icmp' or a number. */
  protocol: text,
  peer: text,
  /** DNS name or domain behind the address; '' when none is known. */
  peerName: text,
  /** Of whoever is called; 0 where there are none. */
  port: v.number(),
  /** The guest's own port when it is not the one called. */
  guestPort: v.number(),
  action: v.picklist(['allow', 'deny']),
  rule: text,
  upBytes: bytes,
  downBytes: bytes,
  startedAt: time,
  lastAt: time,
})
export type FlowView = v.InferOutput<typeof FlowView>

export const DenialView = v.object({
  /** Grows with every denial of this run of Vivarium. */
  seq: v.number(),
  /** The latest of them. */
  at: time,
  domainId: text,
  nic: v.number(),
  direction: v.picklist(['out', 'in']),
  protocol: text,
  peer: text,
  peerName: text,
  port: v.number(),
  /** Name of the rule that denied. */
  rule: text,
  /** Place of that rule in the policy; -1 for one of Vivarium's own. */
  index: v.number(),
  /** One sentence. */
  reason: text,
  /** How often the same was denied within the same few seconds. */
  count: v.number(),
})
export type DenialView = v.InferOutput<typeof DenialView>

export const PolicyView = v.object({
  policy: SandboxPolicySchema,
  /** The policy as text, without what is as usual anyway. */
  text,
  template: text,
  warnings: v.array(v.object({ path: text, message: text })),
  /** What was allowed for this run only. */
  once: v.array(NetworkRuleSchema),
})
export type PolicyView = v.InferOutput<typeof PolicyView>

export const PolicyCheckView = v.object({
  /** Null when it is refused. */
  policy: v.nullable(SandboxPolicySchema),
  /** Why it is refused; `line` and `column` begin at 1 and are 0 where they are not known. */
  fault: v.nullable(v.object({ path: text, message: text, line: v.number(), column: v.number() })),
  warnings: v.array(v.object({ path: text, message: text })),
})
export type PolicyCheckView = v.InferOutput<typeof PolicyCheckView>

export const PolicyTemplateView = v.object({
  id: text,
  name: text,
  description: text,
  policy: SandboxPolicySchema,
})
export type PolicyTemplateView = v.InferOutput<typeof PolicyTemplateView>

export const ExplanationView = v.object({
  action: v.picklist(['allow', 'deny']),
  rule: text,
  index: v.number(),
  logged: v.array(text),
  /** What would happen and why, a sentence or two. */
  sentence: text,
})
export type ExplanationView = v.InferOutput<typeof ExplanationView>

export const SegmentPortView = v.object({
  domainId: text,
  domainName: text,
  nic: v.number(),
  mac: text,
  address: text,
  plugged: v.boolean(),
  linked: v.boolean(),
  /** When the guest was last given its address; null for never. */
  leasedAt: v.nullable(time),
  upPerSecond: v.number(),
  downPerSecond: v.number(),
})
export type SegmentPortView = v.InferOutput<typeof SegmentPortView>

export const SegmentView = v.object({
  /** '' is the gateway's own network. */
  name: text,
  /** Such as '10.86.0.0/16'. */
  subnet: text,
  /** Address of the gateway there. */
  gateway: text,
  ports: v.array(SegmentPortView),
})
export type SegmentView = v.InferOutput<typeof SegmentView>

export const PortName = v.object({ domainId: text, domainName: text, nic: v.number() })

export const MirrorView = v.object({
  id: text,
  source: PortName,
  target: PortName,
  /** Frames as the guest sent them, or only what the policy let pass. */
  stage: v.picklist(['before', 'after']),
  direction: v.picklist(['both', 'up', 'down']),
  /** Whether both sides run. */
  active: v.boolean(),
  frames: v.number(),
  dropped: v.number(),
})
export type MirrorView = v.InferOutput<typeof MirrorView>

export const CaptureView = v.object({
  id: text,
  /** What is captured, for people. */
  name: text,
  /** The card that is captured; null for a whole segment. */
  source: v.nullable(v.object({ domainId: text, nic: v.number() })),
  running: v.boolean(),
  startedAt: time,
  endedAt: v.nullable(time),
  frames: v.number(),
  bytes,
  dropped: v.number(),
  /** Why it ended by itself; '' otherwise. */
  reason: text,
  /** Names of pcapng files, oldest first. */
  files: v.array(v.object({ name: text, bytes })),
})
export type CaptureView = v.InferOutput<typeof CaptureView>

export const PacketView = v.object({
  number: v.number(),
  at: time,
  length: bytes,
  source: text,
  destination: text,
  protocol: text,
  info: text,
})
export type PacketView = v.InferOutput<typeof PacketView>

export const NetworksView = v.object({
  segments: v.array(SegmentView),
  mirrors: v.array(MirrorView),
  captures: v.array(CaptureView),
  /** How often the network's worker had to be started again, and why the last time; '' for never. */
  restarts: v.number(),
  trouble: text,
})
export type NetworksView = v.InferOutput<typeof NetworksView>
