import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ownUnit } from '../../../../src/service/run/under-systemd.js';

const GROUP = '0::/system.slice/web_sandbox.service\n';

it('finds the unit whose main process this is', () => {
  const environment = { SYSTEMD_EXEC_PID: '7' };
  assert.deepEqual(ownUnit(environment, 7, GROUP), { unit: 'web_sandbox.service', manager: 'system' });
  const user = '0::/user.slice/user-1.slice/user@1.service/app.slice/web_sandbox.service\n';
  assert.deepEqual(ownUnit({ ...environment, MANAGERPID: '6' }, 7, user), {
    unit: 'web_sandbox.service',
    manager: 'user',
  });
  const below = '1:name=systemd:/x\n0::/system.slice/web_sandbox.service/payload\n';
  assert.equal(ownUnit(environment, 7, below)?.unit, 'web_sandbox.service');
});

it('takes no other process of a unit for it', () => {
  assert.equal(ownUnit({ SYSTEMD_EXEC_PID: '7' }, 8, GROUP), undefined);
  assert.equal(ownUnit({}, 7, GROUP), undefined);
  assert.equal(ownUnit({ SYSTEMD_EXEC_PID: '7' }, 7, '0::/user.slice/session-1.scope\n'), undefined);
});
