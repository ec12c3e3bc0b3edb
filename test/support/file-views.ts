import type { FileChangeView, FileDenialView, KeysView, ShareView } from '../../src-main/contract'

/** What main tells of shares and keys, where a test of a client needs some. */

export const shareView = (fields: Partial<ShareView> = {}): ShareView => ({
  id: 'id-share',
  name: 'docs',
  folder: '/srv/docs',
  mode: 'copy-on-write',
  attached: true,
  mounted: true,
  state: 'served',
  reason: '',
  mountedAt: '',
  mountCommand: 'mount -t 9p docs /mnt/docs',
  keptBytes: 0,
  sealed: true,
  ...fields,
})

export const changeView = (fields: Partial<FileChangeView> = {}): FileChangeView => ({
  path: '/notes.txt',
  key: 'key-notes',
  kind: 'changed',
  type: 'file',
  bytesBefore: 1,
  bytesAfter: 1,
  from: '',
  conflict: false,
  ...fields,
})

export const fileDenial = (fields: Partial<FileDenialView> = {}): FileDenialView => ({
  seq: 1,
  at: 1000,
  domainId: 'd',
  kind: 'file',
  share: 'docs',
  path: '/etc/shadow',
  operation: 'change',
  rule: 'No secrets',
  index: 0,
  reason: 'The rule denies it.',
  count: 1,
  ...fields,
})

export const keysView = (fields: Partial<KeysView> = {}): KeysView => ({
  protection: 'passphrase',
  locked: false,
  keychain: { usable: false, name: '', reason: 'There is no keychain here.' },
  imported: 0,
  protects: [],
  leaves: [],
  ...fields,
})
