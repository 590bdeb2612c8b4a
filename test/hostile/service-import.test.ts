/** Archives of services that somebody has made who would like root to unpack them elsewhere, or to run more than a sandbox. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeOverlayDirectory } from '../../src/sandbox/devices/overlay-directory.js';
import type { Manifest } from '../../src/service/archive/manifest.js';
import { formatService, loadService } from '../../src/service/file.js';
import { exported, imported } from '../helpers/archiving.js';
import { archiveOf, ground, INVALID, inUpper, REFUSED, refused } from '../helpers/hostile-archives.js';
import { unlessRoot } from '../helpers/scratch.js';
import type { TarMember } from '../helpers/tar-members.js';

describe('an archive that is hostile', { skip: unlessRoot('states in directories are those of root') }, () => {
  it('is what is tested here: without anything hostile it is taken', async (t) => {
    const { roots, config } = await ground(t);
    const members = inUpper({ name: 'layers/upper/a', content: 'a' });
    await imported(roots, 'web', archiveOf(config, { members }));
    assert.equal(readFileSync(join(roots.directories, 'web/layers/upper/a'), 'utf8'), 'a');
  });

  it('names no path outside', async (t) => {
    const at = await ground(t);
    const names = [
      at.victim,
      `layers/upper/../../../../victim`,
      '../victim',
      'layers/upper/./a',
      'layers/upper//a',
      'layers/other',
      'layers/work/a',
      'layers/mounts/%2F/upper/a',
      'overlay.json',
      'state.qcow2',
    ];
    for (const name of names) {
      const members = inUpper({ name, content: 'broken' });
      await refused(at, archiveOf(at.config, { members }), REFUSED);
      const long = inUpper({ name: 'layers/upper/x', content: 'broken', pax: { path: name } });
      await refused(at, archiveOf(at.config, { members: long }), REFUSED);
    }
    const far = inUpper({ name: 'x', pax: { path: `layers/upper/${'a/'.repeat(200)}../../victim` } });
    await refused(at, archiveOf(at.config, { members: far }), REFUSED);
    const nul = inUpper({ name: 'layers/upper/x', pax: { path: 'layers/upper/a\0/../../..' } });
    await refused(at, archiveOf(at.config, { members: nul }), INVALID);
    const twice = inUpper({ name: 'x', pax: { path: 'layers/upper/a', 'GNU.sparse.name': '../victim' } });
    await refused(at, archiveOf(at.config, { members: twice }), INVALID);
  });

  it('writes through no link, and links nothing from outside', async (t) => {
    const at = await ground(t);
    const link = (target: string): TarMember => ({ name: 'layers/upper/link', flag: '2', link: target });
    const archives: [TarMember[], RegExp][] = [
      [inUpper(link(at.directory), { name: 'layers/upper/link/victim', content: 'broken' }), /refused/],
      ...[at.directory, '../../../..'].map((target): [TarMember[], RegExp] => [
        inUpper(
          link(target),
          { name: 'layers/upper/link/', flag: '5' },
          { name: 'layers/upper/link/victim', content: 'broken' },
        ),
        /unpacked/,
      ]),
      [inUpper(link(at.victim), { name: 'layers/upper/link', content: 'broken' }), /unpacked/],
      [inUpper({ name: 'layers/upper/hard', flag: '1', link: at.victim }), /refused/],
      [inUpper({ name: 'layers/upper/hard', flag: '1', link: '../../../victim' }), /refused/],
      [inUpper({ name: 'layers/upper/hard', flag: '1', link: 'layers/upper/../../../../victim' }), /refused/],
      [
        inUpper(link(at.directory), { name: 'layers/upper/hard', flag: '1', link: 'layers/upper/link/victim' }),
        /unpack/,
      ],
      [[{ name: 'layers', flag: '2', link: at.directory }], /refused/],
      [
        [
          { name: 'layers/', flag: '5' },
          { name: 'layers/upper', flag: '2', link: '/' },
        ],
        /refused/,
      ],
    ];
    for (const [members, code] of archives) await refused(at, archiveOf(at.config, { members }), code);
    assert.equal(statSync(at.victim).mode & 0o777, 0o600);
  });

  it('has no device, no member twice, and no attribute that leads elsewhere', async (t) => {
    const at = await ground(t);
    const archives: [TarMember[], RegExp][] = [
      [inUpper({ name: 'layers/upper/null', flag: '3', device: [1, 3] }), REFUSED],
      [inUpper({ name: 'layers/upper/disk', flag: '4', device: [8, 0] }), INVALID],
      [inUpper({ name: 'layers/upper/a' }, { name: 'layers/upper/a', content: 'b' }), /unpacked/],
      [inUpper({ name: 'layers/upper/a', pax: { 'SCHILY.xattr.trusted.overlay.redirect': '/root' } }), REFUSED],
      [inUpper({ name: 'layers/upper/a', pax: { 'SCHILY.xattr.trusted.overlay.metacopy': '' } }), REFUSED],
      [inUpper({ name: 'layers/upper/a', pax: { 'GNU.dumpdir': 'x' } }), INVALID],
      [inUpper({ name: 'x', flag: 'L', content: 'layers/upper/a\0' }), INVALID],
      [inUpper({ name: 'x', flag: 'g', content: '16 path=/victim\n' }), INVALID],
      [inUpper({ name: 'layers/upper/d/', flag: '5', content: 'x' }), INVALID],
      [[{ name: 'layers/', flag: '5', uid: 7 }], REFUSED],
      [inUpper({ name: 'layers/upper/a', pax: { size: '99999999999999999999' } }), INVALID],
    ];
    for (const [members, code] of archives) await refused(at, archiveOf(at.config, { members }), code);
  });

  it('is whole', async (t) => {
    const at = await ground(t);
    const whole = archiveOf(at.config, { members: inUpper({ name: 'layers/upper/a', content: 'a'.repeat(3000) }) });
    for (let length = 0; length < whole.length - 512; length += 512)
      await refused(at, whole.subarray(0, length), INVALID, /cut off|empty/);
    await refused(at, Buffer.concat([whole, Buffer.from('more')]), INVALID);
    await refused(at, Buffer.concat([whole, Buffer.alloc(512, 'x')]), INVALID);
    await refused(at, execFileSync('gzip', { input: whole }), INVALID, /packed.*gzip -dc/);
    await refused(at, Buffer.alloc(4096, 'x'), INVALID);
    const broken = Buffer.from(whole);
    broken.write('?', 512 * 4 + 3);
    await refused(at, broken, INVALID, /no tar archive|damaged/);
  });

  it('does not say that a state is of another kind, or another root', async (t) => {
    const at = await ground(t);
    const states: Manifest['state'][] = [
      { type: 'directory', overlay: { kind: 'container', root: '/' } },
      { type: 'directory', overlay: { kind: 'privileged-container', root: '/' } },
      { type: 'directory', overlay: { kind: 'machine', root: `image:${'0'.repeat(64)}` } },
      { type: 'image' },
    ];
    for (const state of states) await refused(at, archiveOf(at.config, { state }), INVALID);
    const members = [{ name: 'layers/', flag: '5' }];
    await refused(at, archiveOf(at.config, { members }), /overlay-directory-damaged/);
  });
});

describe('a service of an archive', { skip: unlessRoot('states in directories are those of root') }, () => {
  it('has nothing beside its own state, unless it is trusted', async (t) => {
    const at = await ground(t);
    const { config, settings } = await loadService(at.roots, 'model');
    const asked: [string, Partial<typeof config>, RegExp][] = [
      [
        'a mount',
        { mounts: [{ type: 'host-bind', target: '/m', source: '/etc', readOnly: false, includes: [] }] },
        /"\/etc"/,
      ],
      [
        'a copy',
        { mounts: [{ type: 'ram', target: '/m', usage: 4096, includes: [{ target: '/m/s', source: '/etc/shadow' }] }] },
        /copy of "\/etc\/shadow"/,
      ],
      ['privileged', { privileged: true }, /every capability/],
      ['a root', { root: { type: 'directory', path: '/srv' } }, /"\/srv"/],
      ['a base label', { security: { mode: 'dynamic', label: 'system_u:system_r:unconfined_t:s0' } }, /unconfined_t/],
      ['the label of who imports it', { security: { mode: 'inherit', label: undefined } }, /inherit/],
      ['a home', { home: { type: 'directory', path: '/root' } }, /"\/root"/],
      ['secrets', { hidden: { secrets: false, paths: [] } }, /keys of users/],
      ['a kernel', { kernel: { version: undefined, path: '/k', modulesPath: undefined } }, /kernel "\/k"/],
      ['a port', { publish: [{ protocol: 'tcp', address: '0.0.0.0', hostPort: 1, guestPort: 1 }] }, /0\.0\.0\.0:1/],
      [
        'a disk',
        { disks: [{ type: 'block', tag: 'd', source: '/dev/sda', format: 'raw', readOnly: false }] },
        /"\/dev\/sda"/,
      ],
      [
        'a network',
        {
          networks: [
            {
              dhcp: true,
              source: undefined,
              hostLoopback: true,
              mac: undefined,
              addresses: [],
              routes: [],
              filter: undefined,
            },
          ],
        },
        /network, and reaches/,
      ],
    ];
    for (const [what, changes, message] of asked) {
      const text = await formatService({ config: { ...config, ...changes }, settings });
      await refused(at, archiveOf(text), /^service-archive-reaches$/, message).catch((error: unknown) => {
        throw new Error(what, { cause: error });
      });
    }
    const settingsAsked: [Partial<typeof settings>, RegExp][] = [
      [{ connect: 'lxc:///' }, /container/],
      [{ connect: 'qemu:///system' }, /qemu:\/\/\/system/],
      [{ autostart: true }, /boots/],
      [{ copied: ['/etc/shadow'] }, /"\/etc\/shadow"/],
    ];
    for (const [changes, message] of settingsAsked) {
      const text = await formatService({ config, settings: { ...settings, ...changes } });
      await refused(at, archiveOf(text), /^service-archive-reaches$/, message);
    }
  });

  it('has no label of its own, unless it is trusted', async (t) => {
    const at = await ground(t);
    const { config, settings } = await loadService(at.roots, 'model');
    const security = { mode: 'static', label: 'system_u:system_r:unconfined_t:s0' } as const;
    const text = await formatService({
      config: { ...config, security },
      settings: { ...settings, filetype: 'shadow_t' },
    });
    const { service } = await imported(at.roots, 'web', archiveOf(text));
    assert.doesNotMatch(await formatService(service), /unconfined_t|shadow_t/);
  });

  it('runs over the URI that this host has set, if it names none', async (t) => {
    const at = await ground(t);
    const { config, settings } = await loadService(at.roots, 'model');
    const text = await formatService({ config, settings: { ...settings, connect: undefined } });
    const before = process.env['LIBVIRT_DEFAULT_URI'];
    t.after(() => {
      if (before === undefined) delete process.env['LIBVIRT_DEFAULT_URI'];
      else process.env['LIBVIRT_DEFAULT_URI'] = before;
    });
    for (const [uri, message] of [
      ['lxc:///', /container/],
      ['qemu:///system', /qemu:\/\/\/system/],
    ] as const) {
      process.env['LIBVIRT_DEFAULT_URI'] = uri;
      await refused(at, archiveOf(text), /^service-archive-reaches$/, message);
    }
    process.env['LIBVIRT_DEFAULT_URI'] = 'qemu:///embed';
    const { service } = await imported(at.roots, 'web', archiveOf(text));
    assert.equal(service.settings.connect, 'qemu:///embed');
  });

  it('is refused where its file is broken, or says that its state is elsewhere', async (t) => {
    const at = await ground(t);
    await refused(at, archiveOf('x'), /key-file|config/);
    await refused(at, archiveOf('a'.repeat(2 << 20)), INVALID);
    const { config, settings } = await loadService(at.roots, 'model');
    const text = await formatService({ config: { ...config, overlay: { type: 'directory', path: '/etc' } }, settings });
    const { service } = await imported(at.roots, 'web', archiveOf(text));
    assert.deepEqual(service.config.overlay, { type: 'directory', path: join(at.roots.directories, 'web') });
  });
});

describe('a state that is exported', { skip: unlessRoot('it makes links in a state of root') }, () => {
  it('has nothing of the host that a guest has put a link to', async (t) => {
    const { roots, directory } = await ground(t);
    const { config } = await loadService(roots, 'model');
    const state = join(roots.directories, 'model');
    makeOverlayDirectory(state, config, { mode: 0o755, uid: 0, gid: 0 });
    execFileSync('ln', ['-s', directory, join(state, 'layers/upper/link')]);
    const archive = await exported(roots, 'model');
    assert.ok(!archive.includes('whole'));
    assert.ok(archive.includes('layers/upper/link'));
  });
});
