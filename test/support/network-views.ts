/** What main tells of networks, where a test of a client needs some. The domains are 'web' and 'ids'. */

export const nic = {
  index: 0, mac: '52:54:00:00:00:01', model: 'virtio', mode: 'gateway', segment: '', plugged: true, address: '10.86.0.5',
  linked: true, leased: true, upBytes: 1000, downBytes: 2e6, upPerSecond: 10, downPerSecond: 3e5, dropped: 0, spoofed: 0,
} // prettier-ignore
export const forward = {
  protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080, guestPort: 80, key: 'tcp/127.0.0.1:8080', state: 'failed',
  reason: 'The port is taken.',
} // prettier-ignore
export const network = {
  id: 'id-web', nics: [nic, { ...nic, index: 1, mode: 'segment', segment: 'lab', address: '10.87.0.2', plugged: false }],
  forwards: [forward, { ...forward, hostPort: 5353, protocol: 'udp', key: 'udp/127.0.0.1:5353', state: 'listening', reason: '' }],
  template: 'web', ruleCount: 2,
} // prettier-ignore
export const denial = {
  seq: 7, at: 1_700_000_000_000, domainId: 'id-web', nic: 0, direction: 'out', protocol: 'tcp', peer: '93.184.216.34',
  peerName: 'example.org\u001b[2J', port: 443, rule: 'default deny', index: -1, reason: 'No rule allows it.', count: 3,
} // prettier-ignore
export const flow = {
  nic: 0, direction: 'in', protocol: 'udp', peer: '10.86.0.9', peerName: 'ids', port: 53, guestPort: 0, action: 'deny',
  rule: 'No DNS', upBytes: 0, downBytes: 100, startedAt: 1000, lastAt: 4000,
} // prettier-ignore
export const capture = {
  id: 'id-capture', name: 'web, card 1', source: { domainId: 'id-web', nic: 0 }, running: true, startedAt: 1_700_000_000_000, endedAt: null, frames: 5, bytes: 700,
  dropped: 0, reason: '', files: [{ name: 'capture-1.pcapng', bytes: 700 }],
} // prettier-ignore
export const mirror = {
  id: 'id-mirror', source: { domainId: 'id-web', domainName: 'web', nic: 0 }, target: { domainId: 'id-ids', domainName: 'ids', nic: 1 },
  stage: 'before', direction: 'both', active: true, frames: 12, dropped: 0,
} // prettier-ignore
export const networks = {
  segments: [
    {
      name: '', subnet: '10.86.0.0/16', gateway: '10.86.0.1',
      ports: [{ domainId: 'id-web', domainName: 'web', nic: 0, mac: nic.mac, address: nic.address, plugged: true, linked: false }],
    },
    { name: 'lab', subnet: '10.87.0.0/24', gateway: '10.87.0.1', ports: [] },
  ],
  mirrors: [mirror], captures: [capture], restarts: 0, trouble: '',
} // prettier-ignore
