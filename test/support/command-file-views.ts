/** What main tells of shares and the registry, where a test of a client needs some. The domain is 'web'. */

const rates = { readBytes: 0, writeBytes: 0, readOps: 0, writeOps: 0, burstMs: 100 }
const meter = { readBytes: 0, writeBytes: 0, readOps: 0, writeOps: 0 }
export const device = { device: '', rates, now: meter, total: meter, waitedMs: 0, enforced: true, reason: '' }
export const share = {
  id: 'id-share', name: 'work', folder: '/home/me/work', mode: 'copy-on-write', attached: true, mounted: true,
  state: 'served', reason: '', mountedAt: '/mnt/work', mountCommand: 'mount -t 9p work /mnt/work', keptBytes: 3e6, sealed: true,
} // prettier-ignore
export const files = {
  id: 'id-web',
  shares: [share, { ...share, id: 'id-other', name: 'other', mode: 'direct', mountedAt: '', keptBytes: 0, sealed: false }],
  devices: [
    device,
    { ...device, device: 'share:work', rates: { ...rates, writeBytes: 5e6 }, now: { ...meter, writeBytes: 4.9e6 }, waitedMs: 800 },
  ],
  group: { ...device, name: 'lab', domains: ['web'], enforced: false, reason: 'No.' },
} // prettier-ignore
export const change = {
  path: '/src/a.txt', key: 'src/a.txt', kind: 'changed', type: 'file', bytesBefore: 10, bytesAfter: 12, from: '', conflict: true,
} // prettier-ignore
export const changes = {
  changes: [change, { ...change, path: '/src/é\u001b[2J', key: 'src/\u00c3\u00a9', kind: 'added', bytesBefore: null, conflict: false }],
  total: 2, added: 1, changed: 1, deleted: 0,
} // prettier-ignore
export const fileDenial = {
  seq: 7, at: 1_700_000_000_500, domainId: 'id-web', kind: 'file', share: 'work', path: '/secret', operation: 'read', rule: 'No secrets',
  index: 0, reason: 'Read was refused.', count: 2,
} // prettier-ignore
export const access = {
  uses: [
    { use: 'see', allowed: true, rule: '', index: -1 },
    { use: 'change', allowed: false, rule: 'Keep', index: 0 },
  ],
  leadsTo: '', logged: [], sentence: 'It can be read and not changed.',
} // prettier-ignore
export const keys = {
  protection: 'passphrase', locked: true, keychain: { usable: false, name: '', reason: 'There is no keychain here.' }, imported: 1,
  protects: ['Changes.'], leaves: ['Images.'],
} // prettier-ignore
export const registry = {
  id: 'id-web', hives: [{ hiveId: 'id-hive', at: 'HKLM\\SOFTWARE' }], served: true, prefixes: [{ share: 'work', path: '/.wine' }],
  roots: ['HKLM', 'HKU'], changes: 3, mountedAt: '/mnt/registry',
} // prettier-ignore
export const hive = {
  id: 'id-hive', name: 'windows', source: 'regf', keys: 10, values: 20, bytes: 5000, createdAt: 1_700_000_000_000, usedBy: ['id-web'],
} // prettier-ignore
export const registryKey = {
  key: 'HKCU\\Software', canonical: 'HKU\\S-1\\Software',
  subkeys: [{ name: 'Wine', hasSubkeys: true, own: true }], subkeyTotal: 5,
  values: [{ name: '', type: 1, text: 'hello', size: 12, own: false }], valueTotal: 1, writtenAt: null,
} // prettier-ignore
export const registryDiff = {
  entries: [
    { kind: 'changed', key: 'HKLM\\A', value: '', before: { type: 1, text: 'old', size: 8 }, after: { type: 1, text: 'new', size: 8 } },
    { kind: 'deleted', key: 'HKLM\\B', value: null, before: null, after: null },
  ],
  total: 3, added: 0, changed: 2, deleted: 1,
} // prettier-ignore
