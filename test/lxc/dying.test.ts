/** A container that dies shows the last lines of its console. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs, processesWith, uniqueName } from '../helpers/leftovers.js';
import { type RunResult, startSandbox } from '../helpers/run.js';

const SAY = 'echo last words > /dev/tty1';

/** Kills a container's process 1 from outside, as a host that is out of memory would. */
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
}

describe('a container that dies', { skip: lxc.skip, concurrency: 2 }, () => {
  it('while the application runs', async () => {
    const name = uniqueName();
    const command = ['sh', '-c', `echo running; read line; ${SAY}; exec sleep 1000`];
    const env = { LIBVIRT_SANDBOX_INIT_DEBUG: '1' };
    // Only root of the host may write to the console.
    const args = ['-c', lxc.uri, '-n', name, '-p', '--', ...command];
    const running = startSandbox(args, { ...lxc.options, env, input: 'open' });
    await running.until(/running/);
    running.child.stdin?.write('\n');
    // libvirt passes console output through several buffers; the last lines may still be on their way when the
    // container is gone.
    await running.untilError(/^last words/m);
    killInit(name);
    const result = await running.result;
    assertDied(result, /ended while the application ran, without its exit status/);
    assert.match(result.stderr, /\n {2}guest: last words\n$/);
    await assertNothingLeft(name, exceptLogs(lxc.where));
  });

  it('before the application starts', async () => {
    const name = uniqueName();
    const env = { LIBVIRT_SANDBOX_INIT_DEBUG: 'break:spawn' };
    const running = startSandbox(['-c', lxc.uri, '-n', name, '--', 'true'], { ...lxc.options, env });
    await running.untilError(/attach with/);
    // The start would continue if this shell ended.
    const shell = startSandbox(['--attach', name, '--', 'sh', '-c', 'echo said; exec sleep 1000'], lxc.options);
    await shell.until(/said/);
    killInit(name);
    assertDied(await running.result, /ended before the application was started/);
    assert.equal((await shell.result).code, 125);
    await assertNothingLeft(name, exceptLogs(lxc.where));
  });
});
