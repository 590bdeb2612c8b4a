/** Configurations that parse but are not supported. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import { DEFAULT_GRAPHICS } from '../../../../src/config/parsers/graphics.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import { refuseUnsupported } from '../../../../src/sandbox/prepare/supported.js';
import { SandboxError } from '../../../../src/util/errors.js';

const command = ['/bin/true'];

test('a supported configuration is accepted', async () => {
  const mount = ['host-bind:/mnt=/srv', 'host-bind:/=', 'host-image:/a=/a', 'ram:/scratch=1M', 'guest-bind:/opt=/srv'];
  const disk = ['file:cache=/srv/a.img'];
  refuseUnsupported(await configFromOptions({ command, mount, disk, env: ['A=1'], privileged: true, vcpus: '2' }));
});

const service = { type: 'systemd', bootTarget: 'multi-user.target', units: ['web@one.service'] } as const;

async function withService(changes: Partial<SandboxConfig>): Promise<SandboxConfig> {
  return { ...(await configFromOptions({ command, privileged: true })), service, ...changes };
}

async function refusal(changes: Partial<SandboxConfig>): Promise<string> {
  const config = await withService(changes);
  try {
    refuseUnsupported(config);
  } catch (error) {
    assert.ok(error instanceof SandboxError);
    return error.code;
  }
  return 'none';
}

test('units run as root with all capabilities, and are refused otherwise', async () => {
  assert.equal(await refusal({}), 'none');
  assert.equal(await refusal({ privileged: undefined }), 'systemd-needs-root');
  const identity = { uid: 1000, gid: 1000, groups: [], username: 'me', home: '/' };
  assert.equal(await refusal({ identity }), 'systemd-needs-root');
});

test('a systemd has no screen', async () => {
  assert.equal(await refusal({ graphics: DEFAULT_GRAPHICS }), 'graphics-with-systemd');
  assert.equal(await refusal({ sound: true }), 'sound-with-systemd');
});

test('what is no name of a unit is refused: it is written into a unit', async () => {
  for (const unit of ['nginx', '', 'a b.service', 'a\n.service', '--root=x', '%n.service', '../a.service'])
    assert.equal(await refusal({ service: { ...service, units: [unit] } }), 'unit-name-invalid', unit);
  assert.equal(await refusal({ service: { ...service, bootTarget: 'x' } }), 'unit-name-invalid');
});
