/** A record of a sandbox. */
import type { SandboxRecord } from '../../../src/control/record.js';

export const record: SandboxRecord = {
  version: 1,
  name: 'web',
  uuid: 'f4f63919-d9f6-4471-a2d6-3d1ad37267d3',
  pid: 7,
  created: '2026-11-28T10:08:10.196Z',
  platform: 'machine',
  connection: 'embedded',
  acceleration: 'tcg',
  boot: 'warm',
  image: 'abc',
  kernel: '6.12',
  memory: 536_870_912,
  vcpus: 1,
  // Bytes that are not UTF-8, as raw-text.ts has them.
  command: ['echo', '\udcff'],
  detached: true,
  root: '/',
  mounts: [{ type: 'ram', target: '/srv' }],
  guest: {
    platform: 'machine',
    hostname: 'web',
    identity: { uid: 1, gid: 2, groups: [3], username: 'a', home: '/a' },
    privileged: false,
    userNamespaces: false,
    environment: [{ key: 'A', value: 'b' }],
    cwd: undefined,
    root: { type: 'ram', bytes: 0 },
    mounts: [],
    disks: [],
    devices: undefined,
    network: undefined,
    command: [],
    terminal: undefined,
  },
};
