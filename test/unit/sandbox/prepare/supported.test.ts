/** Configurations that parse but are not supported. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import { refuseUnsupported } from '../../../../src/sandbox/prepare/supported.js';
import { SandboxError } from '../../../../src/util/errors.js';

const command = ['/bin/true'];

test('a supported configuration is accepted', async () => {
  const mount = ['host-bind:/mnt=/srv', 'host-bind:/=', 'host-image:/a=/a', 'ram:/scratch=1M', 'guest-bind:/opt=/srv'];
  const disk = ['file:cache=/srv/a.img'];
  refuseUnsupported(await configFromOptions({ command, mount, disk, env: ['A=1'], privileged: true, vcpus: '2' }));
});

test('a service is refused, not ignored', async () => {
  const config = {
    ...(await configFromOptions({ command })),
    service: { type: 'systemd', bootTarget: 'multi-user.target' },
  };
  assert.throws(
    () => refuseUnsupported(config as SandboxConfig),
    (error) =>
      error instanceof SandboxError && error.code === 'not-supported' && /a service that systemd/.test(error.message),
  );
});
