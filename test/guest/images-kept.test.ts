/** What a sandbox writes to the root of an OCI image: where it is kept, and what virt-sandbox-ctl says of it. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { ctl, detached, type How, said } from '../helpers/ctl.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { busyboxImage, layoutWith, link, unlessImages } from '../helpers/oci/busybox.js';
import type { TarEntry } from '../helpers/oci/tar.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, type RunOptions, runSandbox } from '../helpers/run.js';

const TOOLS = unlessImages() || unlessProgram('qemu-img', 'mke2fs');
const ground = mkdtempSync('/var/tmp/virt-sandbox-oci-kept-');
before(() => chmodSync(ground, 0o755));
after(() => rmSync(ground, { recursive: true, force: true }));

function place(owner = 0): string {
  const directory = mkdtempSync(join(ground, 'of-'));
  chmodSync(directory, 0o755);
  chownSync(directory, owner, owner);
  return directory;
}

const ENTRIES: readonly TarEntry[] = [
  { name: 'proc/', type: '5' },
  { name: 'sys/', type: '5' },
  { name: 'dev/', type: '5' },
  { name: 'run/', type: '5' },
  { name: 'tmp/', type: '5', mode: 0o1777 },
  { name: 'etc/hosts', data: '' },
  { name: 'etc/hostname', data: '' },
  { name: 'tree/', type: '5' },
  { name: 'tree/same', data: 'same', uid: 70_000, mtime: 1_000_000_000 },
  { name: 'tree/changed', data: 'x', mtime: 1_000_000_000 },
  { name: 'tree/removed', data: 'x' },
  { name: 'tree/moved/', type: '5' },
  { name: 'tree/moved/file', data: 'x' },
  { name: 'tree/many/', type: '5' },
  ...Array.from({ length: 400 }, (_, at) => ({ name: `tree/many/file-with-a-long-name-${at}`, data: `${at}` })),
  { name: 'nodes/', type: '5' },
  { name: 'nodes/null', type: '3', major: 1, minor: 3 },
  link('tree/link', 'same'),
  link('tree/other', 'same'),
];

function imageWith(entries: readonly TarEntry[] = ENTRIES): string {
  return layoutWith(place(), busyboxImage({}, entries));
}

const WRITE = [
  'cd /tree',
  'echo more >>changed && rm removed && mkdir made && echo x >made/file',
  'touch -c -d @1000000000 same && ln -sf changed link && cp -a many/file-with-a-long-name-7 many/new',
  'rm many/file-with-a-long-name-399 && chown 5:6 moved/file && touch /nodes && sync && echo written',
].join(' && ');
/** Beside the top, whose directories are changed with what is in them. */
const CHANGES = [
  'C /tree',
  'C /tree/changed',
  'C /tree/link',
  'A /tree/made',
  'A /tree/made/file',
  'C /tree/many',
  'D /tree/many/file-with-a-long-name-399',
  'A /tree/many/new',
  'C /tree/moved',
  'C /tree/moved/file',
  'D /tree/removed',
];

async function assertKept(uri: string, overlay: string, options: RunOptions = {}): Promise<void> {
  const root = imageWith();
  const on = ['-c', uri, ...ACCEL, `--overlay=${overlay}`];
  assert.equal((await ask([...on, '--root', root], { write: WRITE }, options)).write, 'written');
  const found = await ask([...on, '--root', root], { kept: 'cat /tree/changed /tree/made/file; ls /tree' }, options);
  assert.equal(found.kept, 'xmore\nx\nchanged\nlink\nmade\nmany\nmoved\nother\nsame');
  for (const other of [
    ['--root', imageWith([...ENTRIES, { name: 'more', data: 'x' }])],
    ...(overlay.endsWith('.qcow2') ? [] : [['--root', '/']]),
  ]) {
    const refused = await runSandbox([...on, ...other, '--', 'true'], options);
    assertFailure(refused, / (config|init): .*overlay.*(not made for|belongs to the root|was not made)/);
  }
}

for (const way of [embedded, system])
  describe(`what is written to an image, over ${way.uri}`, { skip: way.skip || TOOLS }, () => {
    it('is kept in a directory, for this image alone', () => assertKept(way.uri, join(place(), 'kept')));

    it('is kept on a disk, for this image alone', () => assertKept(way.uri, join(place(), 'kept.qcow2')));
  });

describe('what an ordinary user writes to an image', { skip: unlessOrdinaryUser() || TOOLS }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  for (const uri of ['qemu:///session', embedded.uri])
    it(`is kept on a disk, for this image alone, over ${uri}`, () =>
      assertKept(uri, join(place(user.uid), 'kept.qcow2'), user.options));

  it('is listed', (t) => assertListed(t, 'qemu:///session', [], user.options));
});

async function assertListed(t: TestContext, uri: string, overlay: readonly string[], how: How = {}): Promise<void> {
  const options = [...ACCEL, '--root', imageWith(), ...overlay];
  const name = await detached(t, uri, { options, command: ['sleep', '10000'] }, how);
  assert.equal(await said(['diff', name], how), '');
  assert.equal(await said(['exec', name, 'sh', '-c', WRITE], how), 'written\n');
  assert.deepEqual((await said(['diff', name], how)).trimEnd().split('\n'), CHANGES);
}

describe('a sandbox with an image', { skip: embedded.skip || TOOLS }, () => {
  for (const [where, overlay] of [
    ['in memory', () => []],
    ['in a directory', () => [`--overlay=${join(place(), 'kept')}`]],
    ['on a disk', () => [`--overlay=${join(place(), 'kept.qcow2')}`]],
  ] as const)
    it(`lists what it has changed ${where}`, (t) => assertListed(t, embedded.uri, overlay()));

  it('is looked into as any other', async (t) => {
    const root = imageWith();
    const name = await detached(t, embedded.uri, {
      options: ['--shell', '--root', root],
      command: ['sleep', '10000'],
    });
    const shell = await runSandbox(['--attach', name, '--', 'sh', '-c', 'id -u; cat /tree/same; ls /dev/vda']);
    assert.equal(shell.out.replaceAll('\r', ''), '0\nsame/dev/vda\n');
    assert.equal(await said(['exec', name, 'cat', '/tree/same']), 'same');
    assert.match(await said(['exec', name, 'grep', 'CapEff', '/proc/self/status']), /\t00000000800405fb\n$/);
    const directory = place();
    writeFileSync(join(directory, 'in'), 'to inside');
    assert.equal((await ctl(['cp', join(directory, 'in'), `${name}:/tree/in`])).stderr, '');
    assert.equal((await ctl(['cp', `${name}:/tree`, join(directory, 'out')])).stderr, '');
    assert.equal(readFileSync(join(directory, 'out/in'), 'utf8'), 'to inside');
    assert.equal(readFileSync(join(directory, 'out/many/file-with-a-long-name-11'), 'utf8'), '11');
    assert.match(await said(['ps']), new RegExp(name));
    const [inspected = {}] = JSON.parse(await said(['inspect', name])) as Record<string, unknown>[];
    assert.ok(existsSync(String(inspected['root'])), JSON.stringify(inspected));
    assert.match(String(inspected['rootImage']), /^oci:/);
  });
});
