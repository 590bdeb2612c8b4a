import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { removeLeftGroups } from '../../../../src/sandbox/state/systemd-group.js';
import { unlessRoot } from '../../../helpers/scratch.js';

const mount = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));

const skip = unlessRoot('to make control groups') || (mount === undefined && 'no control groups of version 2');

it('control groups that containers have left are removed, and no others', { skip }, async (t) => {
  const child = spawn('sleep', ['1000']);
  // It comes first, as what it is in cannot be removed.
  t.after(async () => {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  });
  const made = (name = `virt-sandbox-${randomBytes(16).toString('hex')}`) => {
    const path = join(mount ?? '', name);
    mkdirSync(join(path, 'systemd/below'), { recursive: true });
    t.after(() => {
      for (const each of ['systemd/below', 'systemd', ''])
        if (existsSync(join(path, each))) rmdirSync(join(path, each));
    });
    return path;
  };
  const [left, used, fresh, other] = [made(), made(), made(), made(`test-${randomBytes(16).toString('hex')}`)];
  writeFileSync(join(used, 'systemd/below/cgroup.procs'), String(child.pid));
  for (const path of [left, used, other]) utimesSync(path, 0, 0);
  const systemd = { bootId: '', bootTarget: '', units: [] } as never;
  removeLeftGroups({ platform: 'container', systemd } as never);
  assert.deepEqual(
    [left, used, fresh, other].map((path) => existsSync(join(path, 'systemd/below'))),
    [false, true, true, true],
  );
});
