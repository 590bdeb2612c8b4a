/** Devices of a sandbox without looking at images. */
import type { SandboxConfig } from '../../src/config/types.js';
import { type Devices, devicesOf } from '../../src/sandbox/devices/devices.js';

/** As an ordinary user has them, whoever runs this: QEMU serves every directory. */
export function devicesOfSession(config: SandboxConfig, name = 'test'): Devices {
  const devices = devicesOf(config, {
    name,
    images: new Map(),
    server: { kind: 'session', readOnlyVirtiofs: false },
    root: '9p',
  });
  return { ...devices, shares: devices.shares.map((share) => ({ ...share, transport: '9p' })) };
}
