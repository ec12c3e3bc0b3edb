import * as v from 'valibot'
import { IdSchema } from '../../vmm/model/id'
import { NICS_MOST } from '../../vmm/model/hardware'
import { ForwardSchema, NIC_MODES, SegmentNameSchema } from '../../vmm/model/network'
import { DIRECTIONS, PROTOCOLS, SandboxPolicySchema } from '../../vmm/model/policy'
import { byDomain, call, done, nothing, waitMs } from './call'
import {
  CaptureView,
  DenialView,
  ExplanationView,
  FlowView,
  MirrorView,
  NetworkSampleView,
  NetworksView,
  NetworkView,
  PacketView,
  PolicyCheckView,
  PolicyTemplateView,
  PolicyView,
} from './network-views'
import { BinaryData } from './views'

/** Longest policy as text, characters. */
export const POLICY_TEXT_LIMIT = 200_000
const nic = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(NICS_MOST - 1))
const size = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 50))
const port = v.strictObject({ id: IdSchema, nic })
const fileName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,100}\.pcapng$/, 'There is no such file.'))

/** Calls about networks and the part of the sandbox policy that they enforce. */
export const NETWORK_CALLS = {
  'network.get': call(byDomain, NetworkView),
  /** The last ten minutes of throughput, one sample a second, oldest first. */
  'network.load': call(byDomain, v.array(NetworkSampleView)),
  /** Flows that are open, or were not long ago; the busiest 500. */
  'network.flows': call(byDomain, v.array(FlowView)),
  /** The newest 200 denials, oldest first. */
  'network.denials': call(byDomain, v.array(DenialView)),
  /** Allows what a denial refused until the machine ends. */
  'network.allowOnce': call(v.strictObject({ id: IdSchema, seq: v.number() }), PolicyView),
  /** Takes back all that was allowed once. */
  'network.forgetOnce': call(byDomain, PolicyView),
  /** Plugs a card in elsewhere, or pulls its cable; at once, also while the guest runs. */
  'network.connect': call(
    v.strictObject({
      id: IdSchema,
      nic,
      mode: v.optional(v.picklist(NIC_MODES)),
      segment: v.optional(v.union([v.literal(''), SegmentNameSchema])),
      plugged: v.optional(v.boolean()),
    }),
    NetworkView,
  ),
  /** Opens a port of the host that leads to the guest; kept with the domain. Fails with `conflict` when the port is taken. */
  'network.addForward': call(v.strictObject({ id: IdSchema, forward: ForwardSchema }), NetworkView),
  'network.removeForward': call(
    v.strictObject({ id: IdSchema, key: v.pipe(v.string(), v.maxLength(100)) }),
    NetworkView,
  ),

  'policy.get': call(byDomain, PolicyView),
  /** Stores the policy and applies it at once. */
  'policy.set': call(v.strictObject({ id: IdSchema, policy: SandboxPolicySchema }), PolicyView),
  /** What is wrong with a policy as text for this domain, if anything; changes nothing. */
  'policy.check': call(
    v.strictObject({ id: IdSchema, text: v.pipe(v.string(), v.maxLength(POLICY_TEXT_LIMIT)) }),
    PolicyCheckView,
  ),
  'policy.templates': call(nothing, v.array(PolicyTemplateView)),
  /** What would happen to a connection, by the stored policy or by the one given. */
  'policy.explain': call(
    v.strictObject({
      id: IdSchema,
      policy: v.optional(SandboxPolicySchema),
      direction: v.optional(v.picklist(DIRECTIONS.filter((direction) => direction !== 'both')), 'out'),
      protocol: v.optional(v.picklist(PROTOCOLS.filter((protocol) => protocol !== 'any')), 'tcp'),
      /** An address, a DNS name, 'host' or 'domain:NAME'. */
      target: v.pipe(v.string(), v.minLength(1), v.maxLength(300)),
      port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535)), 0),
    }),
    ExplanationView,
  ),

  /** Everything on the host's virtual networks. */
  'networks.get': call(nothing, NetworksView),
  'mirrors.add': call(
    v.strictObject({
      source: port,
      target: port,
      stage: v.optional(v.picklist(['before', 'after']), 'before'),
      direction: v.optional(v.picklist(['both', 'up', 'down']), 'both'),
    }),
    MirrorView,
  ),
  'mirrors.remove': call(v.strictObject({ mirrorId: IdSchema }), done),
  /** Captures one card's frames, or all of a segment's. */
  'captures.start': call(
    v.strictObject({
      source: v.union([port, v.strictObject({ segment: v.union([v.literal(''), SegmentNameSchema]) })]),
      /** Frames as they were sent, or only what the policy let pass. */
      stage: v.optional(v.picklist(['before', 'after']), 'before'),
      /** Bytes kept of each frame; 0 for all. */
      snapBytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535)), 0),
      /** A new file is begun when one has this size; 0 for never. */
      fileBytes: v.optional(size, 0),
      /** The newest files that are kept; 0 for all. */
      files: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1000)), 0),
      /** It ends when this much was written. */
      totalBytes: v.optional(size, 1024 ** 3),
    }),
    CaptureView,
  ),
  'captures.stop': call(v.strictObject({ captureId: IdSchema }), CaptureView),
  'captures.remove': call(v.strictObject({ captureId: IdSchema }), done),
  /** Part of a file, at most 1 MiB of it; `size` is what it has now. */
  'captures.read': call(
    v.strictObject({ captureId: IdSchema, file: fileName, offset: size }),
    v.object({ bytes: BinaryData, size: v.number() }),
  ),
  /** The newest packets of a running capture after a number, at most 200; waits for some when there are none. */
  'captures.packets': call(v.strictObject({ captureId: IdSchema, after: v.number(), waitMs }), v.array(PacketView)),
} as const
