/** What the sandboxes of a pool are started with. A file of --config may have what they cannot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultConfig } from '../../../../src/config/defaults.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import { templateConfig } from '../../../../src/sandbox/pool/template.js';

const identity = { uid: 1, gid: 1, groups: [], username: 'a', home: '/' };
const config: SandboxConfig = { ...defaultConfig(identity), command: ['sleep', '1'] };

test('the sandboxes of a pool wait without a command', () => {
  assert.deepEqual(templateConfig(config), { ...config, command: [] });
});

test('an overlay of a pool is in memory, where each sandbox has its own', () => {
  const overlay = { type: 'memory' } as const;
  assert.deepEqual(templateConfig({ ...config, overlay }).overlay, overlay);
  for (const type of ['directory', 'image'] as const)
    assert.throws(() => templateConfig({ ...config, overlay: { type, path: '/srv/kept' } }), {
      code: 'pool-with-kept-overlay',
      message: /only one sandbox may write to it/,
    });
});

test('the sandboxes of a pool have no name in common, nor a UUID', () => {
  assert.throws(() => templateConfig({ ...config, name: 'one' }), {
    code: 'pool-with-name',
    message: 'the sandboxes of a pool cannot all have the name "one"',
  });
  assert.throws(() => templateConfig({ ...config, uuid: 'f4f63919-d9f6-4471-a2d6-3d1ad37267d3' }), {
    code: 'pool-with-name',
    message: /cannot all have the UUID "f4f6/,
  });
});
