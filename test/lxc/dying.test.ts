/** A container that dies shows the last lines of its console. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { assertNothingLeft, processesWith, uniqueName } from '../helpers/leftovers.js';
import { type RunResult, runSandbox, startSandbox } from '../helpers/run.js';

const SAY = 'echo last words > /dev/tty1';

/** Ends process 1 of a container from outside, as a host that is out of memory would. */
function killInit(name: string): void {
  const controller = processesWith(name).find((line) => / --name \S+/.test(line) && line.includes('libvirt_lxc'));
  const pid = Number.parseInt(controller ?? '', 10);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  assert.equal(children.length, 1, controller);
  process.kill(Number(children[0]), 'SIGKILL');
}

function assertDied({ code, stderr }: RunResult, when: RegExp): void {
  assert.equal(code, 125, stderr);
  assert.match(stderr, when);
  assert.match(stderr, /\n {2}guest: last words\n$/);
}

describe('a container that dies', { skip: lxc.skip, concurrency: 2 }, () => {
  it('while the application runs', async () => {
    const name = uniqueName();
    const command = ['sh', '-c', `${SAY}; echo running; exec sleep 1000`];
    const running = startSandbox(['-c', lxc.uri, '-n', name, '--', ...command], lxc.options);
    await running.until(/running/);
    killInit(name);
    assertDied(await running.result, /ended while the application ran, without its exit status/);
    await assertNothingLeft(name, lxc.where);
  });

  it('before it is started', async () => {
    const name = uniqueName();
    const env = { LIBVIRT_SANDBOX_INIT_DEBUG: 'break:spawn' };
    const running = startSandbox(['-c', lxc.uri, '-n', name, '--', 'true'], { ...lxc.options, env });
    await running.untilError(/attach with/);
    // Of a shell that ends the start would go on.
    const shell = startSandbox(['--attach', name, '--', 'sh', '-c', `${SAY}; echo said; exec sleep 1000`], lxc.options);
    await shell.until(/said/);
    killInit(name);
    assertDied(await running.result, /ended before the application was started/);
    assert.equal((await shell.result).code, 125);
    await assertNothingLeft(name, lxc.where);
  });

  it('has nothing to show where nothing was said', async () => {
    const result = await runSandbox(['-c', lxc.uri, '--', 'sh', '-c', 'exit 3'], lxc.options);
    assert.deepEqual([result.code, result.stderr], [3, '']);
  });
});
