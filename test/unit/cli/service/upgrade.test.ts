/** virt-sandbox-service upgrade, of services whose overlays were written to; nothing is started. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lockOpenFile } from '../../../../src/oci/lock.js';
import { findInPath } from '../../../../src/util/programs.js';
import {
  assertKilledAt,
  atEveryStep,
  isKilled,
  killedAt,
  othersThan,
  REMOVING,
  unlessTraced,
} from '../../../helpers/killing.js';
import { installPackage, makePackagedRoot } from '../../../helpers/packaged-root.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';
import { type ServiceProgram, serviceProgram } from '../../../helpers/serving.js';

const skip =
  unlessRoot('overlays in directories are its') || (findInPath('dpkg') === undefined ? 'there is no dpkg' : false);

const packageOf = (version: string) => ({
  name: 'web',
  files: {
    '/usr/sbin/webd': { text: `webd ${version}`, mode: 0o755 },
    '/usr/share/web/page': { text: `page ${version}` },
    '/usr/share/web/style': { text: `style ${version}` },
    '/usr/share/web/same': { text: 'same' },
    '/etc/web/web.conf': { text: 'conf' },
    '/etc/web/private/key': { text: 'key', mode: 0o600 },
    '/etc/web/private': { mode: 0o700 },
  },
});

interface Ground {
  readonly root: string;
  readonly upper: string;
  readonly service: ServiceProgram;
  /** Writes to the root as its host does. */
  host(path: string, text: string | undefined, mode?: number): void;
  /** Writes as the service does. */
  inside(path: string, text: string): void;
  /** Copies a file up, as when it was opened to be written to. */
  copyUp(path: string): void;
  upgrade(...args: string[]): Promise<string[]>;
}

async function ground(context: TestContext, options: readonly string[] = []): Promise<Ground> {
  const root = scratchDirectory(context, WITH_ATTRIBUTES);
  makePackagedRoot(root, [packageOf('1')]);
  writeFileSync(join(root, 'etc/hosts'), 'hosts 1');
  const service = serviceProgram(context);
  await service.create('-r', root, '-C', '-P', 'web', ...options, service.name, '--', 'webd');
  const upper = join(service.states, service.name, 'layers/upper');
  const put = (top: string, path: string, text: string | undefined, mode = 0o644) => {
    if (text === undefined) return rmSync(join(top, path));
    execFileSync('mkdir', ['-p', join(top, dirname(path))]);
    writeFileSync(join(top, path), text);
    chmodSync(join(top, path), mode);
  };
  return {
    root,
    upper,
    service,
    host: (path, text, mode) => put(root, path, text, mode),
    inside: (path, text) => put(upper, path, text),
    copyUp: (path) => put(upper, path, readFileSync(join(root, path), 'utf8')),
    upgrade: async (...args) =>
      (
        JSON.parse(await service.out('upgrade', '--json', ...args, service.name)) as {
          files: { verdict: string; path: string }[];
        }
      ).files.map(({ verdict, path }) => `${verdict} ${path}`),
  };
}

describe('virt-sandbox-service upgrade', { skip }, () => {
  it('drops copies that were never changed, keeps what both have changed, and says nothing of the rest', async (context) => {
    const { root, upper, service, host, inside, copyUp, upgrade } = await ground(context);
    for (const path of ['/usr/share/web/page', '/usr/share/web/same', '/etc/web/web.conf', '/etc/hosts']) copyUp(path);
    inside('/usr/share/web/style', 'style of the service');
    inside('/etc/web/web.conf', 'conf of the service');
    inside('/etc/own.conf', 'own');
    inside('/var/lib/own', 'own');
    // Only the service has changed it so far.
    assert.deepEqual(await upgrade('--dry-run'), []);
    installPackage(root, packageOf('2'), '2');
    host('/etc/hosts', 'hosts 2');
    const expected = ['hidden /etc/hosts', 'hidden /usr/share/web/page', 'conflict /usr/share/web/style'];
    assert.deepEqual(await upgrade('--dry-run'), expected);
    assert.ok(existsSync(join(upper, 'etc/hosts')));
    const table = await service.out('upgrade', service.name);
    assert.match(table, /^BEFORE +NOW +SERVICE +RESULT +PATH\n([0-9a-f]{12} +){2}[0-9a-f]{12} +host +\/etc\/hosts\n/);
    assert.match(table, /kept +\/usr\/share\/web\/style\n$/);
    for (const path of ['etc/hosts', 'usr/share/web/page']) assert.ok(!existsSync(join(upper, path)), path);
    assert.equal(readFileSync(join(upper, 'usr/share/web/style'), 'utf8'), 'style of the service');
    assert.equal(readFileSync(join(upper, 'etc/own.conf'), 'utf8'), 'own');
    assert.deepEqual(await upgrade(), []);
  });

  it('makes copies of create anew, also of what is new in their directories', async (context) => {
    const { upper, service, host, upgrade } = await ground(context);
    const at = (name: string) => join(upper, 'etc/web/private', name);
    assert.equal(readFileSync(at('key'), 'utf8'), 'key');
    host('/etc/web/private/key', 'key 2', 0o640);
    host('/etc/web/private/more', 'more', 0o600);
    writeFileSync(at('own'), 'own');
    assert.deepEqual(await upgrade(), ['hidden /etc/web/private/key', 'hidden /etc/web/private/more']);
    assert.deepEqual(
      ['key', 'more', 'own'].map((name) => readFileSync(at(name), 'utf8')),
      ['key 2', 'more', 'own'],
    );
    host('/etc/web/private/key', undefined);
    // The service has changed the other one, and the host too.
    writeFileSync(at('more'), 'of the service');
    host('/etc/web/private/more', 'more 2', 0o600);
    assert.deepEqual(await upgrade(), ['hidden /etc/web/private/key', 'conflict /etc/web/private/more']);
    assert.ok(!existsSync(at('key')));
    assert.deepEqual(await upgrade(), []);
    assert.ok(!existsSync(join(service.states, service.name, 'upgrade')));
  });

  it('shows and copies what is in new directories of the host, and not in those that the service has removed', async (context) => {
    const { root, upper, host, upgrade } = await ground(context);
    host('/etc/web/private/old/file', 'file', 0o600);
    assert.deepEqual(await upgrade(), ['hidden /etc/web/private/old/file']);
    rmSync(join(upper, 'etc/web/private/old'), { recursive: true });
    host('/etc/web/private/old/more', 'more', 0o600);
    host('/etc/web/private/new/deep/key', 'key', 0o640);
    chmodSync(join(root, 'etc/web/private/new'), 0o710);
    chownSync(join(root, 'etc/web/private/new'), 12, 34);
    const expected = ['hidden /etc/web/private/new/deep/key'];
    assert.deepEqual(await upgrade('--dry-run'), expected);
    assert.ok(!existsSync(join(upper, 'etc/web/private/new')));
    assert.deepEqual(await upgrade(), expected);
    assert.equal(readFileSync(join(upper, 'etc/web/private/new/deep/key'), 'utf8'), 'key');
    const { mode, uid, gid } = statSync(join(upper, 'etc/web/private/new'));
    assert.deepEqual([mode & 0o7777, uid, gid], [0o710, 12, 34]);
    assert.ok(!existsSync(join(upper, 'etc/web/private/old')));
    assert.deepEqual(await upgrade(), []);
  });

  it('keeps a copy with another mode, what was removed, and what the service had first', async (context) => {
    const { root, upper, host, inside, copyUp, upgrade } = await ground(context);
    copyUp('/etc/hosts');
    chmodSync(join(upper, 'etc/hosts'), 0o600);
    host('/etc/hosts', 'hosts 2');
    execFileSync('mkdir', ['-p', join(upper, 'usr/share/web')]);
    execFileSync('mknod', [join(upper, 'usr/share/web/page'), 'c', '0', '0']);
    inside('/etc/later', 'of the service');
    host('/etc/later', 'of the host');
    installPackage(root, packageOf('2'), '2');
    assert.deepEqual(await upgrade(), ['conflict /etc/hosts', 'conflict /etc/later', 'conflict /usr/share/web/page']);
  });

  it('follows no link of the service', async (context) => {
    const { root, upper, service, host, upgrade } = await ground(context);
    const trap = join(service.states, 'trap');
    mkdirSync(trap);
    writeFileSync(join(trap, 'key'), 'key');
    writeFileSync(join(trap, 'page'), 'page 1');
    rmSync(join(upper, 'etc/web/private'), { recursive: true });
    symlinkSync(trap, join(upper, 'etc/web/private'));
    execFileSync('mkdir', ['-p', join(upper, 'usr/share')]);
    symlinkSync(trap, join(upper, 'usr/share/web'));
    host('/etc/web/private/key', 'key 2', 0o600);
    host('/etc/web/private/more', 'more', 0o600);
    installPackage(root, packageOf('2'), '2');
    assert.deepEqual(await upgrade(), []);
    assert.deepEqual(
      ['key', 'page'].map((name) => readFileSync(join(trap, name), 'utf8')),
      ['key', 'page 1'],
    );
    assert.ok(!existsSync(join(trap, 'more')));
  });

  it('goes on after it was killed at any step', { skip: unlessTraced() }, async (context) => {
    const { upper, service, host, copyUp, upgrade } = await ground(context);
    let turn = 0;
    const calls = ['mkdir', 'rename', 'fsync', ...REMOVING];
    const killed = await atEveryStep([...calls, ...othersThan(calls)], async (step) => {
      turn += 1;
      host('/etc/hosts', `hosts ${turn}`);
      await upgrade();
      copyUp('/etc/hosts');
      host('/etc/hosts', `hosts ${turn} newer`);
      host('/etc/web/private/key', `key ${turn}`, 0o600);
      host(`/etc/web/private/new-${turn}/key`, `key ${turn}`, 0o600);
      const ended = await service.run(['upgrade', service.name], { through: killedAt(step) });
      await upgrade();
      assert.ok(!existsSync(join(upper, 'etc/hosts')), `${step.call} ${step.when}`);
      for (const path of ['key', `new-${turn}/key`])
        assert.equal(readFileSync(join(upper, 'etc/web/private', path), 'utf8'), `key ${turn}`, path);
      const drafts = readdirSync(join(service.roots.services, service.name)).filter((entry) => entry.startsWith('.'));
      assert.deepEqual(drafts, [], `${step.call} ${step.when}`);
      return isKilled(ended);
    });
    assertKilledAt(killed, calls);
  });

  it('refuses an overlay that something else has in use, and changes nothing of it', async (context) => {
    const { upper, service, host, copyUp, upgrade } = await ground(context);
    copyUp('/etc/hosts');
    host('/etc/hosts', 'hosts 2');
    // As the server of a machine's overlay does.
    const layers = await open(dirname(upper));
    await lockOpenFile(layers, 'exclusive', {});
    await service.fails(['upgrade', service.name], /has its state in .* in use; end the sandbox/);
    assert.ok(existsSync(join(upper, 'etc/hosts')));
    await layers.close();
    assert.deepEqual(await upgrade(), ['hidden /etc/hosts']);
  });

  it('takes over files of older versions', async (context) => {
    const service = serviceProgram(context);
    const { name, roots } = service;
    const old = join(roots.services, `${name}.sandbox`);
    context.after(() => rmSync(old, { force: true }));
    mkdirSync(roots.services, { recursive: true });
    const text = `[api]\nclass=GVirSandboxConfigServiceGeneric\nversion=0.2.1\n\n[core]\nname=${name}\nroot=/\n\n[command]\nargv.0=/bin/true\n`;
    writeFileSync(old, text);
    const upgrade = () => service.run(['upgrade', name]);
    assert.match((await service.run(['upgrade', '--dry-run', name])).stderr, /is moved\n$/);
    assert.ok(existsSync(old));
    const { code, stderr } = await upgrade();
    assert.deepEqual([code, /is moved\n$/.test(stderr)], [0, true], stderr);
    assert.ok(!existsSync(old));
    assert.match(await service.out('show', name), /^argv\.0=\/bin\/true$/m);
    assert.equal((await upgrade()).stderr, '');
    // It was killed before it had removed the old one.
    writeFileSync(old, text);
    assert.equal((await upgrade()).code, 0);
    assert.ok(!existsSync(old));
    const file = join(roots.services, name, 'config/sandbox.cfg');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^version=.*/m, 'version=0.5.0'));
    assert.match((await upgrade()).stderr, /is rewritten\n$/);
    assert.match(await service.out('show', name), /^argv\.0=\/bin\/true$/m);
    await service.fails(['upgrade', `${name}-none`], /there is no service/);
  });

  it('takes over a file of systemd, and one with capitals in its name under another', async (context) => {
    const service = serviceProgram(context);
    const { name, roots } = service;
    const capital = `${name}-Web`;
    const [given, old] = [capital, name].map((one) => join(roots.services, `${one}.sandbox`)) as [string, string];
    context.after(() => {
      for (const path of [given, old]) rmSync(path, { force: true });
    });
    mkdirSync(roots.services, { recursive: true });
    const bind = '[mount.0]\ntype=GVirSandboxConfigMountHostBind\ntarget=/var\nsource=/var/tmp\n';
    const text = `[api]\nclass=GVirSandboxConfigServiceSystemd\nversion=0.2.1\n\n[core]\nname=${capital}\nroot=/\n\n${bind}`;
    writeFileSync(given, text);
    await service.fails(['upgrade', capital], /cannot be the name of a service; choose one of 1 to 64 characters/);
    // As docs/services.md says.
    renameSync(given, old);
    writeFileSync(old, text.replace(`name=${capital}`, `name=${name}`));
    assert.match((await service.run(['upgrade', name])).stderr, /is moved\n$/);
    assert.ok(!existsSync(old));
    const shown = await service.out('show', name);
    assert.match(shown, /^class=GVirSandboxConfigServiceSystemd$/m);
    assert.match(shown, /^source=\/var\/tmp$/m);
    assert.match(shown, /^bootTarget=multi-user\.target$/m);
    assert.equal(((await service.json('show', name)) as { kind: string }).kind, 'systemd');
  });
});
