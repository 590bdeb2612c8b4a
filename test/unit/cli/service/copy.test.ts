/** virt-sandbox-service create --copy, --package and --copy-path; nothing is started. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { findInPath } from '../../../../src/util/programs.js';
import { makePackagedRoot } from '../../../helpers/packaged-root.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';
import { scratchMount } from '../../../helpers/scratch-mount.js';
import { serviceProgram } from '../../../helpers/serving.js';

const skip = unlessRoot('only root copies') || (findInPath('dpkg') === undefined ? 'there is no dpkg' : false);

/** A root with a package that has a key. */
function rootWithKey(context: TestContext): string {
  const root = scratchDirectory(context, WITH_ATTRIBUTES);
  makePackagedRoot(root, [
    {
      name: 'web',
      files: {
        '/usr/sbin/webd': { text: '#!/bin/sh\n', mode: 0o755 },
        '/etc/web/web.conf': { text: 'open' },
        '/etc/web/key': { text: 'key of the host', mode: 0o600 },
        '/var/lib/web': { mode: 0o700, uid: 33 },
      },
    },
  ]);
  writeFileSync(join(root, 'etc/web/htpasswd'), 'htpasswd', { mode: 0o600 });
  writeFileSync(join(root, 'var/lib/web/data'), 'data');
  mkdirSync(join(root, 'etc/ssl/private'), { recursive: true, mode: 0o700 });
  chmodSync(join(root, 'etc/ssl'), 0o755);
  for (const name of ['ours', 'theirs']) writeFileSync(join(root, 'etc/ssl/private', name), name, { mode: 0o600 });
  symlinkSync('private/ours', join(root, 'etc/ssl/current'));
  return root;
}

const OF_PACKAGE = ['/etc/web/htpasswd', '/etc/web/key', '/var/lib/web'];

describe('virt-sandbox-service create --copy', { skip }, () => {
  for (const [where, options, upper] of [
    ['a machine', ['-c', 'qemu:///embed'], 'layers/upper'],
    ['a container', ['-c', 'lxc:///'], 'layers/mounts/%2F/upper'],
  ] as const)
    it(`copies into the state of ${where} what only root may read of the program's package, and prints it`, async (context) => {
      const root = rootWithKey(context);
      const service = serviceProgram(context);
      const printed = await service.create(...options, '-r', root, '-C', service.name, '--', 'webd', '-x');
      assert.deepEqual(printed.trim().split('\n'), OF_PACKAGE);
      const { copied, packages } = (await service.json('show', service.name)) as {
        copied: string[];
        packages: string[];
      };
      assert.deepEqual([copied, packages], [OF_PACKAGE, ['web']]);
      const state = join(service.states, service.name, upper);
      assert.equal(readFileSync(join(state, 'etc/web/key'), 'utf8'), 'key of the host');
      assert.deepEqual(readdirSync(join(state, 'etc/web')), ['htpasswd', 'key']);
      assert.deepEqual(
        [lstatSync(join(state, 'var/lib/web')).uid, readdirSync(join(state, 'var/lib/web'))],
        [33, ['data']],
      );
      assert.equal(lstatSync(join(service.states, service.name)).mode & 0o7777, 0o700);
      await service.out('delete', service.name);
      assert.deepEqual(service.leftovers(), []);
    });

  it('copies paths that no package has, and nothing beside them', async (context) => {
    const root = rootWithKey(context);
    const service = serviceProgram(context);
    const paths = ['--copy-path', '/etc/ssl/current', '--copy-path', '/etc/web/web.conf'];
    const made = JSON.parse(
      await service.create('-r', root, '-P', 'web', ...paths, '--json', service.name, '--', 'webd'),
    ) as Record<string, unknown>;
    assert.deepEqual([made['copied'], made['packages']], [['/etc/ssl/private/ours'], ['web']]);
    const state = join(service.states, service.name, 'layers/upper');
    assert.deepEqual(readdirSync(join(state, 'etc/ssl/private')), ['ours']);
    assert.deepEqual(readdirSync(join(state, 'etc')), ['ssl']);
  });

  it('copies nothing where root inside reads all, and for the user whose files they are', async (context) => {
    const root = rootWithKey(context);
    const service = serviceProgram(context);
    const options = ['-c', 'lxc:///', '-r', root, '-C'];
    assert.equal(await service.create(...options, '--privileged', service.name, '--', 'webd'), '');
    await service.out('delete', service.name);
    const printed = await service.create(...options, '-U', '33', '-G', '33', service.name, '--', 'webd');
    assert.deepEqual(printed.trim().split('\n'), ['/etc/web/htpasswd', '/etc/web/key']);
  });

  it('makes an image with the copies', async (context) => {
    const root = rootWithKey(context);
    const service = serviceProgram(context);
    await service.create('-i', '150', '-r', root, '-C', service.name, '--', 'webd');
    const raw = join(service.states, 'raw');
    execFileSync('qemu-img', ['convert', '-O', 'raw', join(service.states, `${service.name}.qcow2`), raw]);
    const debugfs = (words: string) => execFileSync('debugfs', ['-R', words, raw], { encoding: 'utf8', stdio: 'pipe' });
    assert.equal(debugfs('cat /upper/etc/web/key'), 'key of the host');
    assert.match(debugfs('ea_list /upper/var/lib/web'), /trusted\.overlay\.opaque \(1\) = "y"/);
    assert.match(debugfs('stat /upper/var/lib/web'), /Mode: +0700[\s\S]*User: +33/);
  });

  const REFUSED: readonly (readonly [args: readonly string[], pattern: RegExp])[] = [
    [
      ['-C', 'NAME', '--', '/bin/none'],
      /nothing says what --copy is to copy: no package has "\/bin\/none"; name a package/,
    ],
    [['-P', 'none', 'NAME', '--', 'webd'], /the package "none" is not installed/],
    [['-P', 'we*', 'NAME', '--', 'webd'], /"we\*" cannot be a package/],
    [['--copy-path', '/none', 'NAME', '--', 'webd'], /"\/none", of --copy-path, is not there/],
    [['--copy-path', 'etc/web', 'NAME', '--', 'webd'], /"etc\/web", of --copy-path, is not there/],
    [['--copy-path', '/', 'NAME', '--', 'webd'], /"\/", of --copy-path, is not there/],
    [
      ['--hide', '/etc/web', '--copy-path', '/etc/web/key', 'NAME', '--', 'webd'],
      /would not be seen: .* at "\/etc\/web"/,
    ],
  ];
  for (const [args, pattern] of REFUSED)
    it(`refuses ${args.join(' ')}, and leaves nothing`, async (context) => {
      const root = rootWithKey(context);
      const service = serviceProgram(context);
      const named = args.map((word) => word.replace('NAME', service.name));
      await service.fails(['create', '-p', service.states, '-r', root, ...named], pattern);
      assert.deepEqual(service.leftovers(), []);
    });

  for (const [where, options] of [
    ['a directory', []],
    ['an image', ['-i', '150']],
  ] as const)
    it(`leaves nothing in ${where} when there is no room`, async (context) => {
      const root = rootWithKey(context);
      const big = join(root, 'etc/web/big');
      // It shares no blocks, and mke2fs leaves no holes in what it copies.
      execFileSync('dd', ['if=/dev/urandom', `of=${big}`, 'bs=1M', 'count=160'], { stdio: 'ignore' });
      chmodSync(big, 0o600);
      const service = serviceProgram(context);
      const isDirectory = options.length === 0;
      const states = isDirectory ? scratchMount(context, ['mke2fs', '-F'], '64M') : service.states;
      await service.fails(
        ['create', '-p', states, ...options, '-r', root, '-C', service.name, '--', 'webd'],
        isDirectory
          ? /"\/etc\/web\/big" cannot be copied into the state of the service: .*no space left.*; make room there/
          : /does not fit in it: .*; make the image larger/,
      );
      assert.deepEqual(
        readdirSync(states).filter((name) => name !== 'lost+found'),
        [],
      );
      assert.deepEqual(
        readdirSync(service.roots.services).filter((name) => name.includes(service.name)),
        [],
      );
    });
});
