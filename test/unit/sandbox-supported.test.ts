import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromOptions } from '../../src/config/index.js';
import { SandboxError } from '../../src/errors.js';
import { refuseUnsupported } from '../../src/sandbox/supported.js';

const command = ['/bin/true'];

test('what works is let pass', async () => {
  const mount = ['host-bind:/mnt=/srv', 'ram:/scratch=1M', 'guest-bind:/opt=/srv'];
  refuseUnsupported(await configFromOptions({ command, mount, env: ['A=1'], privileged: true, vcpus: '2' }));
});

for (const [what, options] of [
  [/disk image/, { mount: ['host-image:/mnt=/srv/a.img'] }],
  [/fresh host directory/, { mount: ['host-bind:/mnt='] }],
  [/includes/, { mount: ['ram:/mnt=1M'], include: ['/mnt/passwd=/etc/passwd'] }],
  [/in place of the root/, { mount: ['host-bind:/=/srv'] }],
  [/a disk/, { disk: ['file:cache=/srv/a.img'] }],
  [/a network/, { network: ['dhcp'] }],
  [/security label/, { security: 'static,label=a:b:c:s0' }],
  [/debug shell/, { shell: true }],
  [/tuning/, { cpuShares: '100' }],
] as const) {
  test(`${what.source} is refused, not left out in silence`, async () => {
    const config = await configFromOptions({ command, ...options });
    assert.throws(
      () => refuseUnsupported(config),
      (error) => error instanceof SandboxError && error.code === 'not-supported' && what.test(error.message),
    );
  });
}
