/** What is said of an overlay and of a home that the kernel refuses. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { StepError } from '../../../../init/common/drive.js';
import { OperationError } from '../../../../src/protocol/operations.js';
import { mountFailure } from '../../../../src/sandbox/setup/mount-errors.js';

const { EACCES, EINVAL, ENODEV, ENOENT, ENOMEM, EROFS } = constants.errno;
const ROOT = { root: { type: 'staged', tag: 'root', readOnly: true, keepsOwners: false }, mounts: [] } as const;
const IDENTITY = { uid: 1, gid: 1, username: 'ada', home: '/home/ada' } as const;

function failure(step: string, call: string, errno: number) {
  const error = new OperationError(call.startsWith('mkdir') ? 'mkdir' : 'mount', errno, `${call}: errno ${errno}`);
  // Of a config it looks at the root, the mounts and the identity only.
  const config = { ...ROOT, identity: IDENTITY } as unknown as Parameters<typeof mountFailure>[1];
  return mountFailure(new StepError(step, error), config);
}

test('an overlay that the kernel refuses, and not the share below it', () => {
  assert.equal(failure('root', 'mount(overlay, /newroot, overlay)', EINVAL)?.code, 'overlay-failed');
  assert.equal(failure('root', 'mount(sandbox:root, /overlay/lower, 9p)', ENODEV), undefined);
});

test('a home is missing only where it is', () => {
  for (const [call, errno, code] of [
    ['mkdir(/home/ada)', EROFS, 'home-missing'],
    ['mkdir(/home/ada)', ENOENT, 'home-missing'],
    ['mount(tmpfs, /home/ada, tmpfs)', ENOENT, 'home-missing'],
    ['mkdir(/home/ada)', EACCES, 'home-closed-inside'],
    ['mount(tmpfs, /home/ada, tmpfs)', EACCES, 'home-closed-inside'],
    ['mount(tmpfs, /home/ada, tmpfs)', ENOMEM, 'home-not-mounted'],
  ] as const) {
    const found = failure('home', call, errno);
    assert.equal(found?.code, code, call);
    assert.ok(found?.message.includes('/home/ada'));
    assert.equal(found?.message.includes('is not there'), code === 'home-missing');
  }
});
