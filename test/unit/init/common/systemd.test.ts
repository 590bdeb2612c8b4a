/** The plan, the command line and the sessions of a sandbox that runs systemd. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { processOperation } from '../../../../init/common/application.js';
import type { GuestConfig, GuestSystemd } from '../../../../init/common/config.js';
import { spawnBesideSystemd, spawnOfSystemd, systemdFiles, systemdStep } from '../../../../init/common/systemd.js';
import { enterScript, startScript } from '../../../../init/common/systemd-scripts.js';
import { SpawnFlag } from '../../../../src/protocol/wire.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const systemd: GuestSystemd = {
  bootTarget: 'multi-user.target',
  units: ['nginx.service', 'web@one.service'],
  machineId: '3b0dc4f66b1f4a0e9d1c0a4f9e7b2d11',
  bootId: '00000000000000000000000000000001',
  keepsJournal: false,
};

const config: GuestConfig = {
  platform: 'machine',
  hostname: 'web',
  root: { type: 'ram', bytes: 0 },
  mounts: [],
  disks: [],
  devices: undefined,
  network: undefined,
  identity: { uid: 0, gid: 0, groups: [], username: 'root', home: '/root' },
  privileged: true,
  environment: [{ key: 'A', value: 'b' }],
  cwd: undefined,
  command: ['/lib/systemd/systemd'],
  terminal: undefined,
  systemd,
};

describe('the plan of systemd', () => {
  it('is no part of other sandboxes', () => {
    assert.deepEqual(systemdStep({ ...config, systemd: undefined }), []);
  });

  it('has a target that wants the units, and what upstream starts beside them', () => {
    const target = systemdFiles(systemd, [])['/run/systemd/system/virt-sandbox.target'] ?? '';
    assert.match(
      target,
      /^Wants=nginx\.service web@one\.service systemd-tmpfiles-setup\.service systemd-journald\.socket dbus\.socket /m,
    );
    assert.match(target, /^After=nginx\.service web@one\.service$/m);
  });

  it('starts all that its target wants where no units are named', () => {
    const [step] = systemdStep({ ...config, systemd: { ...systemd, units: [] } });
    const paths = step?.calls.map(({ operation }) => ('path' in operation ? operation.path : ''));
    assert.ok(!paths?.includes('/run/systemd/system/virt-sandbox.target'));
    assert.ok(paths?.includes('/run/systemd/system/sysinit.target.wants/virt-sandbox-up.socket'));
    assert.doesNotMatch(enterScript(false, true), /\.wants/);
    const { argv } = spawnOfSystemd(processOperation(config, '/'), { ...systemd, units: [] });
    assert.ok(argv.includes('--unit=multi-user.target'));
  });

  it('gives the variables of the sandbox to units, whatever is in them', () => {
    const files = systemdFiles(systemd, [{ key: 'A', value: 'b "c" \\ 100% $d\nExecStart=/bin/evil' }]);
    assert.equal(
      files['/run/systemd/system.conf.d/virt-sandbox.conf'],
      '[Manager]\nDefaultEnvironment="A=b \\"c\\" \\\\ 100%% $d\\nExecStart=/bin/evil"\n',
    );
  });

  it('keeps the journal where the overlay is kept', () => {
    const kept = systemdFiles({ ...systemd, keepsJournal: true }, []);
    assert.match(kept['/run/systemd/journald.conf.d/zzz-virt-sandbox.conf'] ?? '', /^Storage=persistent$/m);
    assert.equal(kept['/run/systemd/journal/flushed'], '');
    const other = systemdFiles(systemd, []);
    assert.match(other['/run/systemd/journald.conf.d/zzz-virt-sandbox.conf'] ?? '', /^Storage=volatile$/m);
    assert.equal(other['/run/systemd/journal/flushed'], undefined);
  });

  it('has journald write what units say to the terminal, without a time in front', () => {
    const text = systemdFiles(systemd, [])['/run/systemd/journald.conf.d/zzz-virt-sandbox.conf'] ?? '';
    assert.match(text, /^ForwardToConsole=yes\nMaxLevelConsole=debug$/m);
    for (const ownsSys of [true, false])
      assert.match(enterScript(true, ownsSys), /"\/dev\/null \/sys\/module\/printk\/parameters\/time none bind 0 0"/);
  });

  it('gives a container a group of its own, and hides all others before anything runs', () => {
    const [step] = systemdStep({ ...config, platform: 'container', systemd: { ...systemd, group: '/machine/x' } });
    const said = step?.calls.map(({ operation }) => {
      const { op, ...rest } = operation;
      const at = 'target' in rest ? rest.target : 'path' in rest ? rest.path : '';
      return `${op} ${'source' in rest ? `${rest.source} ` : ''}${at}`;
    });
    const own = '/run/virt-sandbox/groups/machine/x/virt-sandbox-00000000000000000000000000000001';
    const at = (text: string) => {
      const index = said?.indexOf(text) ?? -1;
      assert.ok(index >= 0, text);
      return index;
    };
    assert.ok(at(`mkdir ${own}/systemd`) < at(`writeFile ${own}/init/cgroup.procs`));
    assert.ok(at(`mount ${own} /sys/fs/cgroup`) < at('unmount /run/virt-sandbox/groups'));
    const spawn = spawnOfSystemd(processOperation({ ...config, platform: 'container' }, '/'), systemd);
    assert.notEqual(spawn.capabilities, 0xffff_ffff_ffff_ffffn);
    assert.equal(spawn.flags & SpawnFlag.NAMESPACES, SpawnFlag.NAMESPACES);
  });

  it('has scripts that a shell takes', () => {
    for (const script of [startScript(), enterScript(true, true), enterScript(false, false)])
      execFileSync('/bin/sh', ['-n'], { input: script });
  });
});

/** What of a root the script covers. @param shape makes the root's /lib */
function covered(t: TestContext, directories: readonly string[], shape: (root: string) => void = () => {}): string[] {
  const root = scratchDirectory(t);
  for (const directory of ['bin', 'run/virt-sandbox', ...directories])
    mkdirSync(join(root, directory), { recursive: true });
  shape(root);
  copyFileSync('/bin/busybox', join(root, 'bin/sh'));
  // There is no mount(8) and no systemd.
  spawnSync('chroot', [root, '/bin/sh', '-c', enterScript(true, true)]);
  const table = readFileSync(join(root, 'run/virt-sandbox/fstab'), 'utf8');
  return [...table.matchAll(/^\/run\/virt-sandbox\/empty (\S+) none bind/gm)].map(([, target = '']) => target);
}

describe('what wants other units', { skip: unlessRoot('chroot') || !existsSync('/bin/busybox') }, () => {
  const merged = ['etc/systemd/system/a.target.wants', 'usr/lib/systemd/system/b.target.requires'];

  it('is covered once where /lib is a link to /usr/lib', (t) => {
    const found = covered(t, merged, (root) => symlinkSync('usr/lib', join(root, 'lib')));
    assert.deepEqual(
      found,
      merged.map((path) => `/${path}`),
    );
  });

  it('is covered in /lib too where that is a directory of its own', (t) => {
    const own = ['lib/systemd/system/b.target.wants', 'lib/systemd/system/c.target.requires'];
    assert.deepEqual(
      covered(t, [...merged, ...own]),
      [...merged, ...own].map((path) => `/${path}`),
    );
  });
});

describe('the command lines', () => {
  it('of systemd has a terminal, and none of the variables of the sandbox', () => {
    const { argv, environment, flags, cwd } = spawnOfSystemd(processOperation(config, '/root'), systemd);
    assert.deepEqual(argv.slice(0, 4), ['unshare', '--pid', '/bin/sh', '/run/virt-sandbox/start']);
    assert.ok(argv.includes('--unit=virt-sandbox.target'));
    assert.ok(environment.includes('container=virt-sandbox'));
    assert.ok(environment.includes('container_uuid=3b0dc4f66b1f4a0e9d1c0a4f9e7b2d11'));
    assert.ok(!environment.includes('A=b'));
    assert.equal(flags & SpawnFlag.PTY, SpawnFlag.PTY);
    assert.equal(cwd, '/');
  });

  it('of a session enters as root, and gives up what its user does not have', () => {
    const nobody = { uid: 65534, gid: 65534, groups: [7, 8], username: 'nobody', home: '/' };
    const session = { ...config, command: ['id', '-u'], identity: nobody, privileged: false };
    const spawn = spawnBesideSystemd(processOperation(session, '/srv'), { ...session, cwd: '/srv' });
    assert.deepEqual([spawn.uid, spawn.gid, spawn.groups], [0, 0, []]);
    assert.equal(spawn.cwd, '/');
    const at = spawn.argv.indexOf('/srv');
    assert.deepEqual(spawn.argv.slice(at), [
      '/srv',
      'needed',
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--groups=7,8',
      '--bounding-set=-all',
      '--inh-caps=-all',
      '--no-new-privs',
      '--',
      'id',
      '-u',
    ]);
    assert.ok(spawn.environment.includes('A=b'));
  });

  it('of a session of root has the command as it is', () => {
    const session = { ...config, command: ['sh', '-c', 'echo "$0"; exit 3', 'a b'] };
    const { argv } = spawnBesideSystemd(processOperation(session, '/root'), session);
    assert.deepEqual(argv.slice(-6), ['/root', '', 'sh', '-c', 'echo "$0"; exit 3', 'a b']);
  });
});
