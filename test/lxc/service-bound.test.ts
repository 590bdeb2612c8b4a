/** Services in containers with a bound: create -i. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { valueOr } from '../../src/util/errors.js';
import { BoundedState, boundedService, FILL, SIZE, STARTS } from '../helpers/bounded.js';
import { besideLxc, lxc } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs } from '../helpers/leftovers.js';
import { service as program, removeServices } from '../helpers/making-services.js';
import { examplesOf } from '../helpers/page-blocks.js';
import { runSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { SERVICES } from '../helpers/services.js';

/** It has a copy of the mount in a namespace of its own. */
async function untilHas({ pid }: ChildProcess, point: string): Promise<void> {
  const has = () =>
    readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n' &&
    readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(` ${point} `);
  while (!valueOr(has, false)) await delay(20);
}

/** MiB of the journal, which has its blocks from the beginning. */
const JOURNAL = 16;

/** Has that one only: a copy of what other tests have mounted would be their file system still. */
const ALONE = 'cut -d " " -f 2 /proc/mounts | grep "/layers$" | grep -vxF "$1" | xargs -r umount -l; exec sleep 1000';

describe('the bound of a state', { skip: lxc.skip }, () => {
  it('is what the service may write, and one that is full starts again', async (t) => {
    const { service, state } = await boundedService(t);
    await state.assertUnused();
    assert.ok(state.taken() < (JOURNAL + 6) << 20, String(state.taken()));
    await service.ok(['start']);
    assert.match(await service.inside(FILL), /No space left on device/);
    const much = Number(await service.inside('stat -c %s /srv/much'));
    assert.ok(much > SIZE / 4 && much < SIZE, String(much));
    assert.ok(state.taken() <= SIZE, String(state.taken()));
    await service.ok(['restart']);
    assert.equal(await service.inside('stat -c %s /srv/much'), `${much}\n`);
    assert.equal(await service.inside('rm /srv/much; echo kept > /srv/kept; cat /srv/kept'), 'kept\n');
    await service.ok(['stop']);
    await state.assertUnused();
    assert.deepEqual(readdirSync(state.layers), ['lock']);
    await service.ok(['start']);
    assert.equal(await service.inside(`cat /srv/kept; ${STARTS}`), 'kept\n3\n');
    await service.ok(['stop']);
    await service.ok(['delete']);
    assert.deepEqual(readdirSync(state.above), []);
    await assertNothingLeft(service.name, exceptLogs(lxc.where));
  });

  it('is mounted once, with one loop device, by one of two starts at once', async (t) => {
    const { service, state } = await boundedService(t);
    for (const turn of [1, 2]) {
      const starts = await Promise.all([1, 2].map(() => service.begin(['start']).result));
      const [won, lost] = starts.sort((one, other) => Number(one.code) - Number(other.code));
      assert.deepEqual([won?.code, won?.stderr, lost?.code], [0, '', 125], lost?.stderr);
      assert.match(lost?.stderr ?? '', /: the service "[^"]+" already runs; [^\n]+\n$/);
      assert.equal(await service.inside('wc -l < /srv/starts'), `${turn}\n`);
      assert.deepEqual([state.loops().length, state.mounts()], [1, 1]);
      await service.ok(['stop']);
      await state.assertUnused();
    }
  });

  it('goes with a clone, and an archive has none', async (t) => {
    const { service, state } = await boundedService(t);
    const others = ['stopped', 'live', 'stop', 'imported'].map((what) => `${service.name}-${what}`);
    t.after(() => removeServices(others, lxc.options));
    const [stopped = '', live = '', halted = '', imported = ''] = others;
    await service.ok(['start']);
    await service.inside('echo whole > /srv/data; rm /etc/hostname');
    await service.ok(['clone', '--live'], [live]);
    await service.ok(['clone', '--stop'], [halted]);
    assert.equal(await service.inside('cat /srv/data'), 'whole\n');
    await service.ok(['stop']);
    await state.assertUnused();
    await service.ok(['clone'], [stopped]);
    await state.assertUnused();
    for (const name of [stopped, live, halted]) {
      const clone = new BoundedState(state.above, name);
      await clone.assertUnused();
      const started = await program(['start', name], lxc.options);
      assert.equal(started.code, 0, started.stderr);
      const said = await program(
        ['execute', name, '--', 'sh', '-c', `cat /srv/data; ls /etc/hostname; ${FILL}`],
        lxc.options,
      );
      assert.match(said.out, /^whole\n/);
      assert.match(said.out, /No space left on device/);
      assert.ok(clone.taken() <= SIZE);
      await removeServices([name], lxc.options);
      assert.equal(existsSync(clone.directory), false);
    }
    const archive = join(scratchDirectory(t, WITH_ATTRIBUTES), 'web.tar');
    await service.ok(['export', '-o', archive]);
    await state.assertUnused();
    const { code, stderr } = await program(['import', '--trust', '-p', state.above, archive, imported], lxc.options);
    assert.equal(code, 0, stderr);
    assert.deepEqual(readdirSync(join(state.above, imported)).sort(), ['layers', 'overlay.json']);
    assert.equal((await program(['start', imported], lxc.options)).code, 0);
    assert.equal((await program(['execute', imported, '--', 'cat', '/srv/data'], lxc.options)).out, 'whole\n');
  });

  it('has what create copies, and upgrade looks into it', async (t) => {
    const closed = join(scratchDirectory(t, WITH_ATTRIBUTES), 'key');
    besideLxc('sh', '-c', `umask 077; echo key > ${closed}; chmod 755 ${join(closed, '..')}`);
    const { service, state } = await boundedService(t, ['--copy-path', closed]);
    await service.ok(['start']);
    assert.equal(await service.inside(`cat ${closed}`), 'key\n');
    await service.ok(['stop']);
    besideLxc('sh', '-c', `echo newer > ${closed}`);
    const { code, out, stderr } = await service.run(['upgrade']);
    assert.equal(code, 0, stderr);
    assert.ok(out.includes(closed), out);
    await state.assertUnused();
    await service.ok(['start']);
    assert.equal(await service.inside(`cat ${closed}`), 'newer\n');
  });

  it('is not passed by: without the mount the state is not taken for an empty one', async (t) => {
    const { service, state } = await boundedService(t);
    const file = join(SERVICES, service.name, 'config/sandbox.cfg');
    const alone = await runSandbox(['--config', file, '-c', lxc.uri], lxc.options);
    assert.equal(alone.code, 125);
    assert.match(alone.stderr, /layers\.ext4, which is not mounted; start its service/);
    await service.ok(['start']);
    // Somebody unmounts it: what runs has it still, and nothing else mounts it beside.
    state.remount('umount');
    assert.equal(await service.inside(STARTS), '1\n');
    assert.equal(state.loops().length, 1);
    await service.ok(['stop']);
    await state.assertUnused();
    await service.ok(['start']);
    assert.equal(await service.inside(STARTS), '2\n');
  });

  it('is made larger as the page says, when the last process that has it mounted has ended', async (t) => {
    const { service, state } = await boundedService(t);
    await service.ok(['start']);
    const [enter = '', ...words] = lxc.options.through ?? ['env'];
    const other = spawn(enter, [
      ...words,
      'unshare',
      '-m',
      '--propagation',
      'private',
      'sh',
      '-c',
      ALONE,
      'sh',
      state.layers,
    ]);
    t.after(() => other.kill('SIGKILL'));
    await untilHas(other, state.layers);
    await service.inside('echo last > /srv/last');
    await service.ok(['stop']);
    assert.equal(state.isMounted(), false);
    const [, , , , ...steps] = examplesOf('services.md', 'Its state').map(({ command }) => command);
    assert.match(steps.join('\n'), /^cd .*\n.*flock.*\n.*losetup.*\ntruncate.*\ne2fsck.*\nresize2fs/);
    const script = steps
      .join('\n')
      .replace('/var/lib/libvirt/filesystems/one', state.directory)
      // Its status says that it has corrected something, and its lines say what.
      .replace(/^e2fsck .*$/m, '$& || [ $? = 1 ]');
    const work = spawn(enter, [...words, 'sh', '-ec', script]);
    const ended = once(work, 'close');
    let said = '';
    for (const stream of [work.stdout, work.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk));
    // It waits.
    await once(work.stdout, 'data');
    assert.match(said, /^\/dev\/loop/);
    other.kill('SIGKILL');
    assert.deepEqual(await ended, [0, null]);
    const [corrected, summary, ...more] = said.split('\n').filter((line) => line.startsWith('layers.ext4: '));
    assert.equal(corrected, 'layers.ext4: /lost+found not found.  CREATED.', said);
    assert.match(summary ?? '', /^layers\.ext4: \d+\/\d+ files /, said);
    assert.deepEqual(more, [], said);
    await service.ok(['start']);
    assert.equal(await service.inside('cat /srv/last'), 'last\n');
    assert.ok(Number(await service.inside('stat -f -c %b /')) * 4096 > 1.3 * SIZE);
    await service.ok(['stop']);
    await state.assertUnused();
    besideLxc('e2fsck', '-f', '-n', state.file);
  });

  it('is not taken for an empty one where libvirt does not see its mount', async (t) => {
    const { service, state } = await boundedService(t);
    const through = [...(lxc.options.through ?? []), 'unshare', '-m', '--propagation', 'slave'];
    const { code, stderr } = await service.run(['start'], [], { through });
    assert.equal(code, 125);
    assert.match(stderr, /libvirt does not see the file system that is mounted on .*; start the service where/);
    // Nor by what did not look.
    assert.equal(lstatSync(join(state.layers, 'lock')).isFile(), true);
    await service.ok(['start']);
    assert.equal(await service.inside(STARTS), '1\n');
  });

  it('is mounted anew by the restart policy when an error has made it read-only', async (t) => {
    const script = 'while date >> /srv/starts && sleep 0.1; do :; done; exit 1';
    const { service, state } = await boundedService(t, ['--restart', 'on-failure'], { script });
    await service.ok(['start']);
    const [device = ''] = state.loops();
    writeFileSync(`/sys/fs/ext4/${device.slice('/dev/'.length)}/trigger_fs_error`, 'test');
    await service.until(({ state: now, restarts }) => now === 'running' && restarts > 0);
    await service.inside('sleep 0.5; echo kept > /srv/kept');
    const { restarts } = await service.status();
    assert.equal(restarts, 1);
    await service.ok(['stop']);
    await state.assertUnused();
  });

  it('is not mounted from a file that others may have written', async (t) => {
    const { service, state } = await boundedService(t);
    const refused = () => service.fails(['start'], /is not mounted: others than root may have written to it/);
    await chmod(state.file, 0o620);
    await refused();
    await chmod(state.file, 0o600);
    const other = join(state.above, 'other');
    linkSync(state.file, other);
    await refused();
    renameSync(other, state.file);
    rmSync(other, { force: true });
    renameSync(state.file, other);
    symlinkSync(other, state.file);
    await refused();
    assert.equal(state.isMounted(), false);
    rmSync(state.file);
    renameSync(other, state.file);
    await chmod(state.directory, 0o755);
    await service.fails(['start'], /others than root may enter it/);
    await chmod(state.directory, 0o700);
    await service.ok(['start']);
    assert.equal(state.isMounted(), true);
  });
});
