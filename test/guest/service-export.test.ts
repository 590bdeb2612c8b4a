/** virt-sandbox-service export and import, of services in machines that have written files. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isImageInUse } from '../../src/sandbox/devices/overlay-image.js';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { programPaths } from '../helpers/hide.js';
import { unlessProgram } from '../helpers/images.js';
import { leftAtLast, uniqueName } from '../helpers/leftovers.js';
import { removeServices, service } from '../helpers/making-services.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { type RunOptions, SERVICE_PROGRAM, startSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';

/** Written once: what the imported one does at its own start must not hide what it has. */
const ONCE = `test -e /srv/ready || { printf '%032d\\n' 7 > /etc/machine-id; hostname > /etc/hostname; rm -f /etc/motd
    rm -rf /etc/skel; mkdir /etc/skel; echo own > /etc/skel/own; chown 1234:5678 /etc/skel/own
    ln /etc/skel/own /srv/hard; truncate -s 1M /srv/holes; sync; touch /srv/ready; }
  while sleep 0.1; do date >> /srv/log; done`;

const LOOK = `cat /etc/machine-id /etc/hostname; test ! -e /etc/motd; ls -A /etc/skel
  stat -c '%u:%g %h' /srv/hard; stat -c %s /srv/holes`;

const GROWS = 'a=$(wc -l < /srv/log); until test $(wc -l < /srv/log) -gt $a; do sleep 0.1; done';

async function done(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, out, stderr } = await service(args, options);
  assert.equal(code, 0, stderr);
  return out;
}

function inside(name: string, words: string): Promise<string> {
  return done(['execute', name, '--', 'sh', '-c', words]);
}

interface Made {
  readonly web: string;
  readonly other: string;
  readonly path: string;
  readonly archive: string;
}

async function running(t: TestContext, options: readonly string[]): Promise<Made> {
  const path = scratchDirectory(t, WITH_ATTRIBUTES);
  const web = uniqueName();
  const other = `${web}-2`;
  t.after(() => removeServices([other, web]));
  await done(['create', '-c', embedded.uri, '-p', path, ...ACCEL, ...options, web, '--', '/bin/sh', '-c', ONCE]);
  await done(['start', web]);
  await inside(web, 'until test -e /srv/ready; do sleep 0.1; done');
  return { web, other, path, archive: join(path, 'web.tar') };
}

/** The file system in an archive was written out, and held still: nobody has to look at its journal. */
function assertFrozen(archive: string, directory: string): void {
  const [state, raw] = ['state.qcow2', 'state.raw'].map((name) => join(directory, name)) as [string, string];
  execFileSync('tar', ['-xf', archive, '-C', directory, 'state.qcow2']);
  execFileSync('qemu-img', ['convert', '-O', 'raw', state, raw]);
  const look = (program: string, ...options: readonly string[]) =>
    execFileSync(programPaths(program)[0] ?? program, [...options, raw], { encoding: 'utf8', stdio: 'pipe' });
  assert.doesNotMatch(look('dumpe2fs', '-h'), /needs_recovery/);
  look('e2fsck', '-f', '-n');
}

const STATES = [
  { what: 'a directory', options: [] },
  { what: 'an image', options: ['-i', '300'] },
];
const TOOLS = unlessProgram('qemu-img', 'mke2fs');

for (const { what, options } of STATES)
  describe(`a machine with its state in ${what} that is exported`, { skip: embedded.skip || TOOLS }, () => {
    it('runs elsewhere with the same files', async (t) => {
      const { web, other, path, archive } = await running(t, options);
      await done(['export', '--live', '-o', archive, web]);
      await inside(web, GROWS);
      if (options.length > 0) assertFrozen(archive, scratchDirectory(t));
      assert.equal(statSync(archive).mode & 0o777, 0o600);
      const { changed, source } = JSON.parse(await done(['import', '--json', '-p', path, archive, other]));
      assert.deepEqual([source, changed], [web, ['/etc/machine-id', '/etc/hostname']]);
      await done(['start', other]);
      const [own, theirs] = [await inside(web, LOOK), await inside(other, LOOK)];
      const rest = 'own\n1234:5678 2\n1048576\n';
      assert.equal(own, `${'0'.repeat(31)}7\n${web}\n${rest}`);
      assert.match(theirs, new RegExp(`^(?!0{31}7)[0-9a-f]{32}\n${other}\n${rest}$`));
      await inside(other, GROWS);
    });
  });

describe('an import whose machine runs', { skip: embedded.skip || TOOLS }, () => {
  it('leaves neither the machine nor an image if it is killed', async (t) => {
    const path = scratchDirectory(t, WITH_ATTRIBUTES);
    const web = uniqueName();
    const other = `${web}-2`;
    const archive = join(path, 'web.tar');
    t.after(() => removeServices([other, web]));
    await done(['create', '-c', embedded.uri, '-p', path, ...ACCEL, '-i', '200', web, '--', '/bin/sleep', '9']);
    await done(['export', '-o', archive, web]);
    const importing = startSandbox(['import', '-p', path, archive, other], { program: SERVICE_PROGRAM });
    const drafts = () => readdirSync(path).filter((name) => name.startsWith('.') && isImageInUse(join(path, name)));
    await holdsDuring(importing.result, () => drafts().length > 0);
    importing.child.kill('SIGKILL');
    await importing.result;
    assert.deepEqual(await leftAtLast(drafts), []);
    await done(['import', '-p', path, archive, other]);
    assert.deepEqual(readdirSync(path).sort(), [`${other}.qcow2`, 'web.tar', `${web}.qcow2`].sort());
  });

  it('ends at once at a signal, also if nothing comes from who writes the archive', async (t) => {
    const other = uniqueName();
    t.after(() => removeServices([other]));
    const importing = startSandbox(['import', '-', other], { program: SERVICE_PROGRAM, input: 'open' });
    importing.child.stdin?.write(Buffer.alloc(100));
    const lock = `/etc/libvirt-sandbox/services/.${other}.lock`;
    await holdsDuring(importing.result, () => existsSync(lock));
    importing.child.kill('SIGTERM');
    assert.equal((await importing.result).code, 143);
    assert.ok(!existsSync(lock));
  });
});

describe('a service of an ordinary user that is exported', { skip: unlessOrdinaryUser() || TOOLS }, () => {
  it('is one of that user elsewhere', async (t) => {
    const user = await OrdinaryUser.create();
    const options = { ...user.options, program: `${user.options.program}-service` };
    const [web, other, archive] = ['web', 'web2', join(user.home, 'web.tar')];
    t.after(async () => {
      for (const name of [web, other]) await service(['delete', name], options);
      await user.end();
    });
    const words = ['/bin/sh', '-c', 'echo own >> /var/tmp/own; exec sleep 1000'];
    await done(['create', '-c', embedded.uri, ...ACCEL, '-i', '200', web, '--', ...words], options);
    // What is started has not written yet.
    const written = (name: string, lines: number) => {
      const waits = `until test "$(wc -l </var/tmp/own)" -ge ${lines}; do sleep 0.1; done 2>/dev/null; cat /var/tmp/own`;
      return done(['execute', name, '--', 'sh', '-c', waits], options);
    };
    await done(['start', web], options);
    assert.equal(await written(web, 1), 'own\n');
    await done(['export', '--stop', '-o', archive, web], options);
    // It would read the files of that user.
    assert.match((await service(['import', archive, other], options)).stderr, /it reads the files that you may read/);
    await done(['import', '--trust', archive, other], options);
    await done(['start', other], options);
    assert.equal(await written(other, 2), 'own\nown\n');
    const names = execFileSync('tar', ['-tf', archive], { encoding: 'utf8' });
    assert.equal(names, 'service.json\nsandbox.cfg\nstate.qcow2\n');
  });
});
