/**
 * Promise: root beside the systemd of a container, which may mount and has every capability in its user namespace, sees
 * nothing of the host that is hidden from it or that only others may read, in no later run either.
 * The attacker is that root. The victims are files of the host.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { enterLxc, lxc } from '../helpers/connections.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { serviceProgram } from '../helpers/serving.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';

const skip = lxc.skip || unlessHostSystemd;
const SECRET = 'of the host alone';

/** Ways to what a cover hides, or to what only others may read. */
const waysTo = (ground: string) => {
  const hidden = `${ground}/hidden`;
  const all = `${hidden}/file ${ground}/closed/file ${ground}/of-root /etc/shadow`;
  return [
    `cat ${all}`,
    `umount ${hidden}; umount -l ${hidden}; cat ${all}`,
    `mount --bind / /run/a; cat /run/a${hidden}/file`,
    `mount --bind ${ground} /run/a; cat /run/a/hidden/file`,
    `mount --rbind / /run/b; umount -l /run/b${hidden}; cat /run/b${hidden}/file`,
    `mount --move ${hidden} /run/a; cat ${hidden}/file`,
    `mount -t overlay x -o lowerdir=${ground}:/run /run/a; cat /run/a/hidden/file`,
    `mount -t overlay x -o lowerdir=/:/run /run/a; cat /run/a${hidden}/file`,
    `unshare --mount sh -c 'umount ${hidden}; cat ${all}'`,
    `unshare --user --map-root-user --mount sh -c 'umount ${hidden}; cat ${all}'`,
    `mount -t proc x /run/c; for root in /proc/[0-9]*/root /run/c/[0-9]*/root; do cat $root${hidden}/file; done`,
    `for task in /proc/[0-9]*; do nsenter --mount=$task/ns/mnt cat ${all}; done`,
    `mv ${hidden} ${ground}/other; cat ${ground}/other/file`,
    // What it changes is there in the next run.
    `mv ${ground} ${ground}-moved; cat ${ground}-moved/hidden/file`,
    `mkdir -p ${ground}; ln -s ${ground}-moved/hidden ${ground}/hidden; cat ${ground}/hidden/file`,
  ];
};

describe('root beside the systemd of a container', { skip }, () => {
  it('sees nothing that is hidden, and reads nothing of others', async (t) => {
    const service = serviceProgram(t);
    const { name, states } = service;
    const ground = join(scratchDirectory(t, '/var/tmp'), 'ground');
    for (const [path, mode] of [
      ['hidden', 0o755],
      ['closed', 0o700],
    ] as const) {
      mkdirSync(join(ground, path), { recursive: true });
      writeFileSync(join(ground, path, 'file'), `${SECRET}\n`);
      chmodSync(join(ground, path), mode);
    }
    writeFileSync(join(ground, 'of-root'), `${SECRET}\n`, { mode: 0o600 });
    const unit = `/etc/systemd/system/${name}.service`;
    mkdirSync('/etc/systemd/system', { recursive: true });
    writeFileSync(unit, '[Service]\nExecStart=/bin/sleep 1000\n');
    t.after(() => rmSync(unit, { force: true }));
    const run = async (...words: readonly string[]) => service.run(words, { through: enterLxc });
    const hide = ['--hide', join(ground, 'hidden')];
    const made = await run('create', '-c', lxc.uri, '--path', states, ...hide, '-u', name, name);
    assert.equal(made.code, 0, made.stderr);
    const shadow = readFileSync('/etc/shadow', 'utf8').slice(0, 20);
    for (const round of ['first', 'second']) {
      const started = await run('start', name);
      assert.equal(started.code, 0, started.stderr);
      const script = ['mkdir -p /run/a /run/b /run/c', ...waysTo(ground)].map((way) => `( ${way} ) 2>/dev/null`);
      const { out } = await run('execute', name, '--', 'sh', '-c', `${script.join('; ')}; echo; id -u`);
      assert.ok(!out.includes(SECRET) && !out.includes(shadow), `${round}: ${out}`);
      assert.match(out, /\n0\n$/);
      await run('stop', name);
    }
    assert.equal(readFileSync(join(ground, 'hidden/file'), 'utf8'), `${SECRET}\n`);
  });
});
