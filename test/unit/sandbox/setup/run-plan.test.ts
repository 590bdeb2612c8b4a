/** What a guest is sent before its application runs, without a wait in between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import { loadProfile } from '../../../../src/profile/load.js';
import type { Channel } from '../../../../src/protocol/channel.js';
import { type Operation, OperationError } from '../../../../src/protocol/operations.js';
import { guestConfig } from '../../../../src/sandbox/setup/guest-config.js';
import { type Answering, runPlan } from '../../../../src/sandbox/setup/run-plan.js';
import { devicesOfSession } from '../../../helpers/devices.js';
import { rejectsWith } from '../../../helpers/errors.js';

const ENODEV = 19;
const DRIVER = '/sys/bus/pci/drivers/virtio-pci/bind';

/** A restored machine with one disk that it does not write to, and what it has been sent when it first answers. */
async function restored(refuses: (operation: Operation) => boolean) {
  const config = await configFromOptions({ command: ['true'], disk: ['file:a=/srv/a.img,ro'] });
  const devices = devicesOfSession(config);
  const profile = await loadProfile(undefined);
  const guest = { ...guestConfig(config, { name: 'one', devices, profile }), slots: ['0000:00:07.0'] };
  const sent: Operation[] = [];
  let isFailed = false;
  let atOnce = 0;
  const call = async (operation: Operation) => {
    sent.push(operation);
    await new Promise(setImmediate);
    atOnce ||= sent.length;
    if (isFailed) throw new OperationError(operation.op, 0, 'not tried', true);
    if (refuses(operation)) {
      isFailed = true;
      throw new OperationError(operation.op, ENODEV, 'no such device');
    }
    return { microseconds: 0, value: operation.op === 'spawn' ? { process: 1, pid: 2 } : undefined };
  };
  const answering = {
    ...{ channel: { call } as unknown as Channel, config, guest, options: {} },
    ...{ console: { tail: () => [] }, stop: { ended: new AbortController().signal } },
  } as unknown as Answering;
  return { sent, atOnce: () => atOnce, running: runPlan(answering) };
}

test('the plan is right behind the devices, of which the only one need not be looked for', async () => {
  const { sent, atOnce, running } = await restored(() => false);
  await running;
  const [bind] = sent;
  assert.deepEqual([bind?.op, bind && 'path' in bind && bind.path], ['writeFile', DRIVER]);
  const link = sent.findIndex((operation) => operation.op === 'symlink' && operation.target === '../../vda');
  assert.ok(link > 0 && link < atOnce(), `${link} of ${atOnce()}`);
  assert.ok(sent.every(({ op }) => op !== 'listDir'));
});

test('a device that has no driver is the failure, and not what is behind it', async () => {
  const { running } = await restored((operation) => operation.op === 'writeFile' && operation.path === DRIVER);
  await rejectsWith(running, 'init-step-failed', /step slots failed: no such device/);
});
