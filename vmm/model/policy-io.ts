import * as v from 'valibot'
import { DiskIdSchema } from './hardware'
import { ShareNameSchema } from './share'

/** How much the guest may move to and from its disks and shares. */

const RATE_MOST = 1e12
const rate = (description: string) =>
  v.optional(
    v.pipe(
      v.number('A rate is a number.'),
      v.integer('A rate is a whole number.'),
      v.minValue(0, 'A rate is at least 0; 0 is no limit.'),
      v.maxValue(RATE_MOST, 'A rate this high is none.'),
      v.description(description),
    ),
    0,
  )

/** Bytes and operations a second; 0 is no limit. */
export const IO_RATE_ENTRIES = {
  readBytes: rate('What may be read in a second, bytes; 0 for no limit.'),
  writeBytes: rate('What may be written in a second, bytes; 0 for no limit.'),
  readOps: rate('Reads in a second; 0 for no limit.'),
  writeOps: rate('Writes in a second, and whatever else changes something; 0 for no limit.'),
  burstMs: v.optional(
    v.pipe(
      v.number('A burst is a number.'),
      v.integer('A burst is a whole number.'),
      v.minValue(10, 'A burst is at least 10 ms of the rate.'),
      v.maxValue(3_600_000, 'A burst is at most an hour of the rate.'),
      v.description('What may pass at once after a rest: this many milliseconds of the rate.'),
    ),
    100,
  ),
}
export const IoRatesSchema = v.strictObject(IO_RATE_ENTRIES)
export type IoRates = v.InferOutput<typeof IoRatesSchema>
export const NO_RATES: Readonly<IoRates> = v.parse(IoRatesSchema, {})

export const SHARE_DEVICE = /^share:/

/** Whom a limit is for: '' is all disks and shares of the domain together. */
export const IoDeviceSchema = v.pipe(
  v.string('A device is text: "disk", "disk1" …, "share:NAME", or "" for all together.'),
  v.check(
    (text) =>
      text === '' ||
      (text.startsWith('share:') ? v.is(ShareNameSchema, text.replace(SHARE_DEVICE, '')) : v.is(DiskIdSchema, text)),
    'A device is "disk", "disk1" …, "share:NAME", or "" for all together.',
  ),
  v.description('"disk", "disk1" …, "share:NAME"; "" for all disks and shares of the domain together.'),
)

export const IoLimitSchema = v.pipe(
  v.strictObject({ device: IoDeviceSchema, ...IO_RATE_ENTRIES }),
  v.description('What one disk or share, or all together, may move in a second.'),
)
export type IoLimit = v.InferOutput<typeof IoLimitSchema>

export const IoLimitsSection = v.optional(
  v.pipe(
    v.array(IoLimitSchema),
    v.maxLength(64, 'A policy has at most 64 limits of disks and shares.'),
    v.check((limits) => new Set(limits.map(({ device }) => device)).size === limits.length, 'A device has two limits.'),
    v.description('Limits of disks and shares; one that is not here has none of its own.'),
  ),
  [],
)
