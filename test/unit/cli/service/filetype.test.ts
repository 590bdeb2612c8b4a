/** virt-sandbox-service create --filetype: the SELinux labels of a state; nothing is started. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { findInPath } from '../../../../src/util/programs.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';
import { serviceProgram } from '../../../helpers/serving.js';

const skip =
  unlessRoot('labels are its to give') ||
  (findInPath('getfattr') === undefined ? 'there is no getfattr' : false) ||
  // Its policy need not have the type.
  (existsSync('/sys/fs/selinux/enforce') ? 'this host has SELinux' : false);

const LABEL = 'system_u:system_r:svirt_lxc_net_t';
const STATIC = ['-s', `static,label=${LABEL}`];
const TYPE = ['-f', 'svirt_lxc_file_t'];

/** Of the file itself, if it is a link; undefined: it has none. */
function labelOf(path: string): string | undefined {
  const words = ['--no-dereference', '--absolute-names', '--only-values', '-n', 'security.selinux', '--', path];
  try {
    return execFileSync('getfattr', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).replace(
      /\0$/,
      '',
    );
  } catch {
    return undefined;
  }
}

/** All that is in a directory, and itself. */
function everythingIn(path: string): string[] {
  const below = lstatSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [];
  return [path, ...below.flatMap(everythingIn)];
}

function labelsIn(directory: string): string[] {
  return [...new Set(everythingIn(directory).map((path) => labelOf(path) ?? `none: ${path}`))];
}

describe('virt-sandbox-service create --filetype', { skip }, () => {
  for (const [what, uri, upper] of [
    ['a machine', 'qemu:///embed', 'layers/upper'],
    ['a container', 'lxc:///', 'layers/mounts/%2F/upper'],
  ] as const)
    it(`labels all of the state of ${what}, the clone's with its own level, and new copies`, async (context) => {
      const root = scratchDirectory(context, WITH_ATTRIBUTES);
      const keys = join(root, 'etc/keys');
      mkdirSync(keys, { recursive: true, mode: 0o755 });
      mkdirSync(join(keys, 'closed'), { mode: 0o700 });
      for (const name of ['closed/key', 'key']) writeFileSync(join(keys, name), 'key 1', { mode: 0o600 });
      const service = serviceProgram(context);
      const { name, states } = service;
      const copy = ['--copy-path', '/etc/keys'];
      await service.create('-c', uri, '-r', root, ...STATIC, ...TYPE, ...copy, name, '--', '/bin/true');
      const text = await service.out('show', name);
      const [, level] = new RegExp(`^label=${LABEL}:(s0:c\\d+,c\\d+)$`, 'm').exec(text) ?? assert.fail(text);
      assert.match(text, /^filetype=svirt_lxc_file_t$/m);
      assert.deepEqual(labelsIn(join(states, name)), [`system_u:object_r:svirt_lxc_file_t:${level}`]);

      // As a guest makes them: links out of the state, and a device.
      const trap = join(scratchDirectory(context, WITH_ATTRIBUTES), 'trap');
      mkdirSync(trap);
      writeFileSync(join(trap, 'file'), '');
      const above = join(states, name, upper);
      symlinkSync(trap, join(above, 'directory'));
      symlinkSync(join(trap, 'file'), join(above, 'link'));
      execFileSync('mknod', [join(above, 'whiteout'), 'c', '0', '0']);
      execFileSync('mkfifo', [join(above, 'pipe')]);
      mkdirSync(join(above, 'deep', ...Array.from({ length: 300 }, () => 'd')), { recursive: true });
      const clone = `${name}-2`;
      await service.out('clone', name, clone);
      const [, own] = new RegExp(`^label=${LABEL}:(s0:c\\d+,c\\d+)$`, 'm').exec(await service.out('show', clone)) ?? [];
      assert.notEqual(own, level);
      assert.deepEqual(labelsIn(join(states, clone)), [`system_u:object_r:svirt_lxc_file_t:${own}`]);
      assert.equal(labelOf(join(above, 'link')), undefined);
      for (const path of [trap, join(trap, 'file'), dirname(trap)]) assert.equal(labelOf(path), undefined, path);

      for (const path of ['key', 'closed/key']) writeFileSync(join(keys, path), 'key 2');
      mkdirSync(join(keys, 'closed/new'));
      writeFileSync(join(keys, 'closed/new/key'), 'new');
      await service.out('upgrade', clone);
      for (const path of ['key', 'closed/key', 'closed/new', 'closed/new/key'])
        assert.equal(
          labelOf(join(states, clone, upper, 'etc/keys', path)),
          `system_u:object_r:svirt_lxc_file_t:${own}`,
          path,
        );
      await service.fails(
        ['clone', '-s', 'dynamic', name, `${name}-3`],
        /need the level of a service .*--security static/,
      );
    });

  it('says which label of an archive a service does not have, unless it is trusted', async (context) => {
    const service = serviceProgram(context);
    const { name, states } = service;
    await service.create('-c', 'qemu:///embed', '-r', '/', ...STATIC, ...TYPE, name, '--', 'true');
    const archive = join(scratchDirectory(context, WITH_ATTRIBUTES), 'service.tar');
    await service.out('export', '-o', archive, name);
    for (const [trust, says, labels] of [
      [
        [],
        RegExp(`: ${name}-2 does not have the label ${LABEL}:s0:c\\d+,c\\d+ of the archive: --trust keeps it\n$`),
        0,
      ],
      [['--trust'], /^$/, 1],
    ] as const) {
      const { code, stderr } = await service.run(['import', '--path', states, ...trust, archive, `${name}-2`]);
      assert.equal(code, 0, stderr);
      assert.match(stderr, says);
      assert.equal((await service.out('show', `${name}-2`)).split(`label=${LABEL}`).length - 1, labels);
      await service.out('delete', `${name}-2`);
    }
  });

  it('labels a state without copies, which the first start goes on with', async (context) => {
    const service = serviceProgram(context);
    await service.create(
      '-c',
      'lxc:///',
      '-r',
      '/',
      '-s',
      `static,label=${LABEL}:s0:c5,c7`,
      ...TYPE,
      service.name,
      '--',
      'true',
    );
    const state = join(service.states, service.name);
    assert.deepEqual(labelsIn(state), ['system_u:object_r:svirt_lxc_file_t:s0:c5,c7']);
    assert.deepEqual(readdirSync(state).sort(), ['layers', 'overlay.json']);
  });

  for (const [what, options, pattern] of [
    ['a type that is none', [...STATIC, '-f', 'a:b'], /"a:b" cannot be a type of SELinux; name one/],
    ['an empty type', [...STATIC, '-f', ''], /cannot be a type of SELinux/],
    ['no label', TYPE, /need the level of a service with a label of its own; give it one: --security static,label=/],
    ['a dynamic label', ['-s', 'dynamic', ...TYPE], /need the level of a service/],
    ['a profile of AppArmor', ['-s', 'static,label=libvirt-mine', ...TYPE], /need the level of a service/],
    ['an image', ['-i', '200', ...STATIC, ...TYPE], /libvirt labels the image/],
  ] as const)
    it(`refuses it with ${what}`, async (context) => {
      const service = serviceProgram(context);
      await service.fails(
        ['create', '-c', 'qemu:///embed', '-p', service.states, ...options, service.name, '--', 'true'],
        pattern,
      );
      assert.deepEqual(service.leftovers(), []);
    });
});
