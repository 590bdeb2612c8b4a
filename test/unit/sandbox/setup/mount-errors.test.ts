/** What is said of an overlay that the kernel refuses. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { StepError } from '../../../../init/common/drive.js';
import { OperationError } from '../../../../src/protocol/operations.js';
import { mountFailure } from '../../../../src/sandbox/setup/mount-errors.js';

const { ENODEV, EINVAL } = constants.errno;
const ROOT = { root: { type: 'staged', tag: 'root', readOnly: true, keepsOwners: false }, mounts: [] } as const;

function failure(step: string, call: string, errno: number) {
  const error = new OperationError('mount', errno, `${call}: errno ${errno}`);
  // Of a config it looks at the root and the mounts only.
  return mountFailure(new StepError(step, error), ROOT as unknown as Parameters<typeof mountFailure>[1]);
}

test('an overlay that the kernel refuses, and not the share below it', () => {
  assert.equal(failure('root', 'mount(overlay, /newroot, overlay)', EINVAL)?.code, 'overlay-failed');
  assert.equal(failure('root', 'mount(sandbox:root, /overlay/lower, 9p)', ENODEV), undefined);
});
