/** Which directories of the host may be a home: those that a guest cannot make others enter. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { defaultConfig } from '../../../../src/config/defaults.js';
import { withHomeMount } from '../../../../src/config/home.js';
import { callerIdentity } from '../../../../src/config/identity.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import { checkHomeDirectory, makeHomeDirectory } from '../../../../src/sandbox/devices/home-directory.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { unlessRoot } from '../../../helpers/scratch.js';
import { refuses } from '../../config/support.js';

const NOBODY = 65_534;

/** A directory that only its owner can enter. */
function closed(t: TestContext): string {
  const directory = mkdtempSync('/var/tmp/virt-sandbox-home-');
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function withHome(path: string, changes: Partial<SandboxConfig['identity']> = {}): Promise<SandboxConfig> {
  const identity = { ...(await callerIdentity()), ...changes };
  return { ...defaultConfig(identity), home: { type: 'directory', path } };
}

const refused = async (config: SandboxConfig, code: string, ...names: string[]) => {
  await refuses(() => checkHomeDirectory(config), 'config', code, ...names);
  await refuses(() => makeHomeDirectory(config), 'config', code, ...names);
};

test('a missing directory is made with those above it, for the owner alone', async (t) => {
  const config = await withHome(join(closed(t), 'new/deep/home'));
  const path = config.home?.type === 'directory' ? config.home.path : '';
  checkHomeDirectory(config);
  assert.equal(statSync(path, { throwIfNoEntry: false }), undefined);
  makeHomeDirectory(config);
  const { mode, uid } = statSync(path);
  assert.deepEqual([mode & 0o7777, uid], [0o700, process.geteuid?.()]);
  assert.equal(statSync(dirname(path)).mode & 0o7777, 0o700);
  // It is kept as it is.
  writeFileSync(join(path, 'file'), '');
  makeHomeDirectory(config);
  assert.ok(statSync(join(path, 'file')).isFile());
});

test('another one that others can enter, or no directory, is refused', async (t) => {
  const directory = closed(t);
  const home = join(directory, 'home');
  mkdirSync(home, { mode: 0o700 });
  symlinkSync(home, join(directory, 'link'));
  writeFileSync(join(directory, 'file'), '');
  checkHomeDirectory(await withHome(home));
  await refused(await withHome(join(directory, 'link')), 'home-not-directory', 'symbolic link');
  await refused(await withHome(join(directory, 'file')), 'home-not-directory', 'file');
  await refused(await withHome(join(directory, 'file/below')), 'home-source-unusable', 'file/below');
  for (const mode of [0o755, 0o710, 0o701, 0o740]) {
    chmodSync(home, mode);
    await refused(await withHome(home), 'home-open', home);
  }
});

test('one that the guest could open to all is refused, since nothing above it is closed', async (t) => {
  const directory = closed(t);
  chmodSync(directory, 0o755);
  const home = join(directory, 'home');
  await refused(await withHome(home), 'home-open', 'above');
  mkdirSync(home, { mode: 0o700 });
  await refused(await withHome(home), 'home-open', 'above');
  assert.equal(statSync(join(directory, 'new'), { throwIfNoEntry: false }), undefined);
  // What is made above it is closed.
  makeHomeDirectory(await withHome(join(directory, 'new/home')));
  checkHomeDirectory(await withHome(join(directory, 'new/home')));
});

test('one that others could replace is refused', async (t) => {
  const directory = closed(t);
  chmodSync(directory, 0o777);
  await refused(await withHome(join(directory, 'new/home')), 'home-open', 'everybody may write');
});

test('a remedy is one that works', async (t) => {
  const directory = closed(t);
  const remedyOf = async (path: string): Promise<string> => {
    const config = await withHome(path);
    try {
      checkHomeDirectory(config);
    } catch (error) {
      assert.ok(error instanceof SandboxError);
      return error.remedy;
    }
    return assert.fail(`${path} is accepted`);
  };
  const home = join(directory, "a 'home'");
  mkdirSync(home, { mode: 0o700 });
  chmodSync(home, 0o755);
  execFileSync('sh', ['-c', await remedyOf(home)]);
  checkHomeDirectory(await withHome(home));
  // The guest may have shut it, with all that its owner can do.
  chmodSync(home, 0o000);
  await refused(await withHome(home), 'home-closed', 'mode 000');
  execFileSync('sh', ['-c', await remedyOf(home)]);
  checkHomeDirectory(await withHome(home));
  // In a directory that everybody may write to, a new one could be replaced as well.
  const sticky = join(directory, 'sticky');
  mkdirSync(sticky);
  chmodSync(sticky, 0o1777);
  assert.doesNotMatch(await remedyOf(join(sticky, 'home')), /NEW/);
});

test('another spelling is checked as what it means, and mounted so', async (t) => {
  const directory = closed(t);
  chmodSync(directory, 0o755);
  const home = join(directory, 'home');
  mkdirSync(join(home, 'in'), { recursive: true, mode: 0o700 });
  symlinkSync(home, join(directory, 'link'));
  for (const spelling of [`${home}/.`, `${home}/in/..`, `${home}/`, `${directory}//home/./`]) {
    const config = await withHome(spelling);
    await refused(config, 'home-open', home);
    assert.equal(withHomeMount(config).mounts.map((mount) => mount.type === 'host-bind' && mount.source)[0], home);
  }
  chmodSync(directory, 0o700);
  await refused(await withHome(`${directory}/link/`), 'home-not-directory', 'symbolic link');
});

test('one in a directory that the guest may write to is refused', async (t) => {
  const directory = closed(t);
  mkdirSync(join(directory, 'share'), { mode: 0o700 });
  const mountOf = (source: string, readOnly = false) =>
    ({ type: 'host-bind', target: '/work', source, readOnly, includes: [] }) as const;
  const config = await withHome(join(directory, 'share/new/home'));
  symlinkSync('share', join(directory, 'link'));
  for (const source of [directory, join(directory, 'link'), join(directory, 'share')])
    await refused({ ...config, mounts: [mountOf(source)] }, 'home-in-share', '/work');
  for (const mount of [mountOf(directory, true), mountOf(join(directory, 'share/new/home'))])
    checkHomeDirectory({ ...config, mounts: [mount] });
  checkHomeDirectory(withHomeMount(config));
});

test('the homes themselves, and what they are in, are refused', async (t) => {
  const directory = closed(t);
  const own = join(directory, 'own');
  mkdirSync(own, { mode: 0o700 });
  symlinkSync(own, join(directory, 'link'));
  for (const home of [own, join(directory, 'link')])
    await refused(await withHome(own, { home }), 'home-is-callers', own);
  await refused(await withHome(directory, { home: join(own, 'x') }), 'home-is-callers', own);
  checkHomeDirectory(await withHome(join(own, 'box'), { home: own }));
});

test('root gives it to the user inside, and to nobody else', { skip: unlessRoot('gives files away') }, async (t) => {
  const home = join(closed(t), 'home');
  const config = await withHome(home, { uid: NOBODY, gid: NOBODY });
  makeHomeDirectory(config);
  assert.deepEqual([statSync(home).uid, statSync(home).gid], [NOBODY, NOBODY]);
  checkHomeDirectory(config);
  await refused(await withHome(home), 'home-not-owned', '65534');
  chownSync(home, 1, 1);
  await refused(config, 'home-not-owned', '1');
  // Another start has made it, and not yet given it away. What has something in it is root's.
  chownSync(home, 0, 0);
  makeHomeDirectory(config);
  assert.equal(statSync(home).uid, NOBODY);
  chownSync(home, 0, 0);
  writeFileSync(join(home, 'file'), '');
  await refused(config, 'home-not-owned', '0');
});
