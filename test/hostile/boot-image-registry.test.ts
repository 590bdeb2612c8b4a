/**
 * Promise: a boot image that is pulled reaches nothing but the store, and costs no more than a boot image may, whatever
 * a registry sends. The attackers are a registry, and somebody who pushes to one. The victims: the host's files beside
 * the store, its disk and memory, the store's other images, and the terminal of the caller.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { type Manifest, manifestText, sealManifest } from '../../src/image/manifest.js';
import { valueOr } from '../../src/util/errors.js';
import { ACCEL } from '../helpers/acceleration.js';
import { bakeJson, runBake } from '../helpers/bake.js';
import { embedded } from '../helpers/connections.js';
import { assertBakeFailure, emptyStore, halfMadeIn, imagesIn, type Pulled, storeOf } from '../helpers/fleet.js';
import { addArtifact, filesOf, packedFile, type TestFile } from '../helpers/fleet-artifact.js';
import { testBlob } from '../helpers/oci/image.js';
import { imageIn, startRegistry, type TestRegistry } from '../helpers/oci/registry.js';
import { PROGRAM, type RunResult, runSandbox, startSandbox } from '../helpers/run.js';
import { type Baked, copySnapshot, privateStore, resealSnapshot } from '../helpers/snapshots.js';

const MIB = 1 << 20;
/** What a pull may take of memory, in MiB: libzstd's window, Node, and the program. */
const MOST_RESIDENT = 256;

describe('a boot image of a registry that nobody should trust', { skip: embedded.skip }, () => {
  const from = privateStore();
  let baked: Baked;
  let files: readonly TestFile[];
  let manifest: Manifest;
  before(async () => {
    baked = await copySnapshot(['-c', embedded.uri], from.env);
    files = filesOf(baked.image, baked.warm);
    manifest = JSON.parse(readFileSync(join(baked.image, 'manifest.json'), 'utf8')) as Manifest;
  });
  after(() => from.remove());
  const cold = () => files.slice(0, 3);
  const without = (title: string) => files.filter((file) => file.title !== title);
  const changed = (file: TestFile) => [...without(file.title), file];

  interface Victim {
    readonly registry: TestRegistry;
    readonly cache: string;
    /** @returns what a pull of the tag did */
    pull(tag: string): Promise<RunResult>;
  }

  async function victim(t: TestContext): Promise<Victim> {
    const registry = await startRegistry(t);
    const cache = emptyStore(t);
    return { registry, cache, pull: (tag) => runBake(cache, ['pull', imageIn(registry, tag), '-n', 'mine']) };
  }

  /** Nothing of it is in the store. */
  function assertNothing({ cache }: Victim): void {
    if (!existsSync(storeOf(cache))) return;
    assert.deepEqual([imagesIn(cache), halfMadeIn(cache)], [[], []]);
  }

  it('has no file with another name: nothing is written beside the store', async (t) => {
    const here = await victim(t);
    const titles = ['../../../../escaped', join(here.cache, 'escaped'), 'warm/../../escaped', 'warm/0/../escaped'];
    for (const title of [...titles, 'initrd\0', './initrd', 'warm/0/empty', '.names/mine', '']) {
      addArtifact(here.registry, 'v1', [...files, packedFile(title, Buffer.from('x'))]);
      assertBakeFailure(await here.pull('v1'), /a boot image has no file /);
    }
    assertNothing(here);
    assert.ok(!existsSync(join(here.cache, 'escaped')));
  });

  it('has no file but a kernel and an initrd in its manifest either', async (t) => {
    const here = await victim(t);
    const [kernel, initrd] = manifest.files;
    assert.ok(kernel !== undefined && initrd !== undefined);
    const { id: _id, ...rest } = manifest;
    const cases: readonly Partial<Manifest>[] = [
      { files: [kernel, initrd, { ...initrd, name: '../../escaped' }] },
      {
        files: [{ ...kernel, name: '../escaped' }, initrd],
        kernel: { ...manifest.kernel, file: '../escaped' as 'kernel' },
      },
      { files: [{ ...kernel, size: 2 ** 40 }, initrd] },
    ];
    for (const fields of cases) {
      const text = manifestText(sealManifest({ ...rest, ...fields }));
      addArtifact(here.registry, 'v1', changed(packedFile('manifest.json', Buffer.from(text))));
      assertBakeFailure(await here.pull('v1'), /is no whole boot image: its /);
    }
    assertNothing(here);
  });

  it('takes no more of disk and memory than its manifest says', async (t) => {
    const here = await victim(t);
    const bombs = ['manifest.json', 'initrd', 'warm/0/warm.json', 'warm/0/state', 'warm/0/memory'];
    for (const title of bombs) {
      const isWarm = title.startsWith('warm/');
      addArtifact(
        here.registry,
        'v1',
        changed(packedFile(title, `head -c ${title.endsWith('memory') ? 2 : 1}G /dev/zero`)),
      );
      const { resident, ...result } = await measured(here, 'v1');
      assertBakeFailure(result, new RegExp(`its ${title} unpacks to more than \\d+ bytes`));
      assert.ok(resident > 30 && resident < MOST_RESIDENT, `${title}: ${resident} MiB`);
      // The image itself is whole, if it is its snapshot that is not.
      if (isWarm) assert.deepEqual([imagesIn(here.cache), halfMadeIn(here.cache)], [[manifest.id], []]);
      else assertNothing(here);
      assert.ok(!existsSync(join(storeOf(here.cache), '.names/mine')), 'no name is given');
    }
    assert.ok(Number(execFileSync('du', ['-sm', here.cache], { encoding: 'utf8' }).split('\t')[0]) < 60);
  });

  it('comes without end, too short, or is another: it is not kept', async (t) => {
    const here = await victim(t);
    const initrd = files.find(({ title }) => title === 'initrd') ?? assert.fail();
    addArtifact(here.registry, 'v1', cold());
    here.registry.hook(({ path }, response) => {
      if (!path.endsWith(initrd.blob.digest)) return false;
      response.writeHead(200);
      const piece = Buffer.alloc(65_536, initrd.blob.bytes);
      const more = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', more);
      more();
      return true;
    });
    assertBakeFailure(await here.pull('v1'), /initrd of \S+ has not the size|initrd of .*(?:more|bytes|digest)/);
    assertNothing(here);

    const other = packedFile('initrd', Buffer.from('something else'));
    addArtifact(here.registry, 'v2', changed(other));
    assertBakeFailure(await here.pull('v2'), /its initrd is not what its manifest says/);
    addArtifact(here.registry, 'v3', cold());
    here.registry.addBlob({ ...initrd.blob, bytes: other.blob.bytes });
    here.registry.hook(({ path }, response) => {
      if (!path.endsWith(initrd.blob.digest)) return false;
      const bytes = Buffer.from(initrd.blob.bytes);
      bytes[bytes.length - 10] = (bytes[bytes.length - 10] ?? 0) ^ 1;
      response.end(bytes);
      return true;
    });
    assertBakeFailure(await here.pull('v3'), /initrd of \S+ .*sha256:/);
    assertNothing(here);
  });

  it('has too many layers, twice the same, or a part of a snapshot', async (t) => {
    const here = await victim(t);
    const many = Array.from({ length: 2000 }, (_, at) => ({
      ...(files[0] ?? assert.fail()),
      title: `warm/${at}/state`,
    }));
    for (const set of [many, [...files, ...cold()], without('warm/0/state'), without('initrd'), []]) {
      addArtifact(here.registry, 'v1', set);
      assertBakeFailure(await here.pull('v1'), /is no whole boot image: /);
    }
    assertNothing(here);
  });

  it('says nothing to the terminal but what can be read', async (t) => {
    const here = await victim(t);
    const words = '\u001b]0;owned\u0007\u001b[2J\r\n\u202e';
    addArtifact(here.registry, 'v1', files, { artifactType: words });
    addArtifact(here.registry, 'v2', [...files, packedFile(words, Buffer.from('x'))]);
    addArtifact(here.registry, 'v3', files, { mediaType: words });
    for (const tag of ['v1', 'v2', 'v3']) assertReadable(await here.pull(tag));
    // A record and a manifest with such words: what is shown of them later, too.
    const { id: _id, ...rest } = manifest;
    const text = manifestText(sealManifest({ ...rest, kernel: { ...manifest.kernel, version: words } }));
    addArtifact(here.registry, 'v4', changed(packedFile('manifest.json', Buffer.from(text))));
    const pulled = await here.pull('v4');
    assert.doesNotMatch(pulled.out + pulled.stderr, UNREADABLE);
    for (const command of [['list'], ['show', 'mine'], ['verify', '--all']]) {
      const { out, stderr } = await runBake(here.cache, command);
      assert.doesNotMatch(out + stderr, UNREADABLE, command.join(' '));
    }
  });

  it('has a snapshot whose record lies: it is left, and sandboxes boot cold', async (t) => {
    const here = await victim(t);
    const warm = join(emptyStore(t), basename(baked.warm));
    execFileSync('cp', ['-a', baked.warm, warm]);
    // Its digests are right, and QEMU finds out.
    const state = join(warm, 'state');
    const { size } = statSync(state);
    truncateSync(state, 0);
    writeFileSync(state, Buffer.alloc(size, 'garbage'));
    await resealSnapshot(warm);
    addArtifact(here.registry, 'v1', [...cold(), ...filesOf(baked.image, warm).slice(3)]);
    const pulled = await bakeJson<Pulled>(here.cache, ['pull', imageIn(here.registry, 'v1'), '-n', 'mine']);
    assert.equal(pulled.snapshots.length, 1);
    const words = ['-c', embedded.uri, ...ACCEL, '--image', 'mine', '-v', '--', 'sh', '-c', 'echo once'];
    const { code, out, stderr } = await runSandbox(words, { env: { XDG_CACHE_HOME: here.cache } });
    assert.deepEqual([code, out], [0, 'once\n'], stderr);
    assert.match(stderr, /^virt-sandbox: boot: cold, because the snapshot \S+ cannot be started from: /m);
    assert.doesNotMatch(stderr, UNREADABLE);

    await resealSnapshot(warm, { owner: 12_345, profile: '/dev/zero', sets: ['../../../etc'] });
    addArtifact(here.registry, 'v2', [...cold(), ...filesOf(baked.image, warm).slice(3)]);
    const other = await bakeJson<Pulled>(here.cache, ['pull', imageIn(here.registry, 'v2')]);
    assert.deepEqual(
      other.left.map(({ reason }) => reason),
      ['its record is of another boot image'],
    );
  });

  it('does not come by the answer of a registry that is no JSON, or huge', async (t) => {
    const here = await victim(t);
    for (const bytes of [Buffer.from('{'), Buffer.alloc(5 * MIB, '['), Buffer.alloc(3 * MIB, '[')]) {
      const blob = testBlob('application/vnd.oci.image.manifest.v1+json', bytes);
      here.registry.add({ manifest: blob, config: blob, layers: [], blobs: [blob] }, 'v1');
      assertBakeFailure(await here.pull('v1'));
    }
    assertNothing(here);
  });

  /** Runs a pull, and says what it took of memory at most, in MiB. */
  async function measured({ cache, registry }: Victim, tag: string): Promise<RunResult & { resident: number }> {
    const words = ['pull', imageIn(registry, tag), '-n', 'mine'];
    const running = startSandbox(words, { program: `${PROGRAM}-bake`, env: { XDG_CACHE_HOME: cache } });
    let resident = 0;
    const timer = setInterval(() => {
      const status = valueOr(() => readFileSync(`/proc/${running.pid}/status`, 'utf8'), '');
      resident = Math.max(resident, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024);
    }, 20);
    try {
      const result = await running.result;
      return { ...result, resident };
    } finally {
      clearInterval(timer);
    }
  }
});

/** What a terminal would obey, and not show: but for the ends of lines. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is about those
const UNREADABLE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;

function assertReadable(result: RunResult): void {
  assertBakeFailure(result);
  assert.doesNotMatch(result.stderr, UNREADABLE);
}
