/** Devices of a sandbox. */
import type { SandboxConfig } from '../../src/config/types.js';
import { type Devices, devicesOf } from '../../src/sandbox/devices/devices.js';
import type { Images } from '../../src/sandbox/devices/disks.js';

/** As an ordinary user has them, whoever runs this: QEMU serves every directory. @param images what `inspectImages` says */
export function devicesOfSession(config: SandboxConfig, name = 'test', images: Images = new Map()): Devices {
  const devices = devicesOf(config, {
    name,
    images,
    server: { kind: 'session', readOnlyVirtiofs: false },
    root: '9p',
  });
  return { ...devices, shares: devices.shares.map((share) => ({ ...share, transport: '9p' })) };
}
