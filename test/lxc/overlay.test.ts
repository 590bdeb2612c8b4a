/** A root to write to, in a container. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { besideLxc, lxc } from '../helpers/connections.js';
import { ask, askInside } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { fingerprint } from '../helpers/tree-listing.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-overlay-');
const NOBODY = 65_534;
const hasOverlay = readFileSync('/proc/filesystems', 'utf8').includes('\toverlay\n');
const skip = lxc.skip || (hasOverlay ? false : 'this kernel has no overlayfs');

describe('an overlay in a container', { skip, concurrency: 2 }, () => {
  // A mount below the root, with a name that the options of an overlay escape.
  const disk = join(ground, 'a disk:1,2');
  before(() => {
    chmodSync(ground, 0o755);
    for (const name of ['own', 'own/sub']) mkdirSync(join(ground, name));
    for (const name of ['own/file', 'own/sub/file', 'roots', 'secret'])
      writeFileSync(join(ground, name), 'of the host\n');
    for (const name of ['own', 'own/sub', 'own/file', 'own/sub/file']) chownSync(join(ground, name), NOBODY, NOBODY);
    mkdirSync(disk);
    besideLxc('mount', '-t', 'tmpfs', '-o', `mode=750,uid=${NOBODY}`, 'none', disk);
    besideLxc('sh', '-c', `echo of the disk > '${disk}/file'; chown ${NOBODY} '${disk}/file'`);
  });
  after(() => {
    besideLxc('umount', disk);
    rmSync(ground, { recursive: true });
  });

  it('lets root with capabilities write everywhere, and the host keeps its files', async () => {
    const name = uniqueName();
    const [own, etc] = [join(ground, 'own'), fingerprint('/etc/default')];
    const earlier = fingerprint(own);
    const found = await ask(
      ['-c', lxc.uri, '-n', name, '--overlay', '-p', '--memory', '64M'],
      {
        root: 'awk \'$2 == "/" {print $3, substr($4, 1, 2)}\' /proc/mounts',
        lines: `cd ${own} && echo more >> file && cat file && chmod 600 file && chown 7:8 file && stat -c '%a %u %g' file`,
        names: `cd ${own} && mv sub other && ln other/file link && rm file && ls && cat link`,
        system:
          'echo x > /etc/default/new && rm /etc/default/useradd && mkdir /etc/default/useradd /made && ls -d /made',
        disk: `cd '${disk}' && echo more >> file && cat file && stat -c '%a %U' .`,
        size: 'df -k / | tail -n 1 | tr -s " " | cut -d" " -f2',
        full: 'head -c 40M /dev/zero > /big',
        other: "grep -c ' /overlay' /proc/mounts; ls -A /tmp /run | grep -c overlay; ls -d /overlay",
      },
      { ...lxc.options, stderr: /is no barrier/ },
    );
    assert.deepEqual(found, {
      root: 'overlay rw',
      lines: 'of the host\nmore\n600 7 8',
      names: 'link\nother\nof the host',
      system: '/made',
      disk: 'of the disk\nmore\n750 nobody',
      size: '32768',
      full: "head: error writing 'standard output': No space left on device",
      other: "0\n0\nls: cannot access '/overlay': No such file or directory",
    });
    assert.equal(fingerprint(own), earlier);
    assert.equal(fingerprint('/etc/default'), etc);
    assert.equal(existsSync('/made'), false);
    assert.equal(besideLxc('cat', join(disk, 'file')), 'of the disk\n');
    await assertNothingLeft(name, lxc.where);
  });

  it("lets a user write what is the user's, and see what was hidden no more than before", async () => {
    const own = join(ground, 'own');
    const earlier = fingerprint(ground);
    const hide = ['--hide', join(own, 'sub'), '--hide', join(ground, 'secret')];
    const found = await askInside(lxc, ['--overlay', '-S', 'nobody', ...hide], {
      own: `cd ${own} && echo more >> file && cat file && mkdir new && stat -c '%U' file new`,
      others: `echo x >> ${ground}/roots; echo x > ${ground}/new; rm -f ${ground}/roots; mkdir /new`,
      shadow: 'cat /etc/shadow',
      disk: `cd '${disk}' && echo more >> file && cat file`,
      hidden: `cd ${own} && ls -A sub; cat ${ground}/secret; rmdir sub; mv sub gone; cp -r . /tmp/copy; ls -A /tmp/copy/sub`,
      moved: `cd ${own} && mkdir in && mv file in && ln in/file in/link && ls in`,
    });
    assert.equal(found.own, 'of the host\nmore\nnobody\nnobody');
    assert.equal(found.others.match(/Permission denied/g)?.length, 4);
    assert.match(found.shadow, /Permission denied/);
    assert.equal(found.disk, 'of the disk\nmore');
    assert.doesNotMatch(found.hidden, /of the host|file/);
    assert.match(found.hidden, /busy/);
    assert.equal(found.moved, 'file\nlink');
    assert.equal(fingerprint(ground), earlier);
  });

  it('a mount lies on top, and may be at a path that the root does not have', async (t) => {
    const kept = scratchDirectory(t);
    const mounts = ['-m', `host-bind:/srv/made/here=${kept}`, '-m', 'ram:/opt=1M'];
    const found = await ask(
      ['-c', lxc.uri, '--overlay', '-p', ...mounts],
      { write: 'echo out > /srv/made/here/file; stat -f -c %T /opt; ls -A /opt', gone: 'ls -A /tmp /run /dev/shm' },
      { ...lxc.options, stderr: /is no barrier/ },
    );
    assert.deepEqual([found.write, found.gone], ['tmpfs', '/dev/shm:\n\n/run:\n\n/tmp:']);
    assert.equal(readFileSync(join(kept, 'file'), 'utf8'), 'out\n');
  });

  it('root without capabilities is told why it cannot have one', async () => {
    const run = await runSandbox(['-c', lxc.uri, '--overlay', '--', 'true'], lxc.options);
    assertFailure(run, /root in a container owns no file/, /--privileged/);
  });
});
