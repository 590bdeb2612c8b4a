/** Packing files and writing them again: the same bytes, holes and digests. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { unpackZstdStream } from '../../../../src/compression/zstd-stream.js';
import { type Content, type DigestKind, packFile, writeContent } from '../../../../src/fleet/artifact/content.js';
import { CHUNK_BYTES, digestSparse } from '../../../../src/image/snapshot/digest.js';
import { UnreadableFile } from '../../../../src/util/regular-files.js';
import { inPieces } from '../../../helpers/fleet-layers.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const KINDS: readonly DigestKind[] = ['whole', 'sparse'];

interface Sketch {
  readonly size: number;
  /** Positions of random bytes, and their number; all else is a hole. */
  readonly data: readonly (readonly [position: number, length: number])[];
}

const FULL = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 123];
const SKETCHES: readonly Sketch[] = [
  ...FULL.map((size): Sketch => ({ size, data: [[0, size]] })),
  { size: 6 * CHUNK_BYTES + 123, data: [] },
  { size: 6 * CHUNK_BYTES, data: [[4 * CHUNK_BYTES, 2 * CHUNK_BYTES]] },
  { size: 6 * CHUNK_BYTES, data: [[0, 9000]] },
  { size: 6 * CHUNK_BYTES, data: [[CHUNK_BYTES, CHUNK_BYTES]] },
  {
    size: 6 * CHUNK_BYTES + 123,
    data: [
      [0, 100],
      [3 * CHUNK_BYTES - 2, 5],
      [6 * CHUNK_BYTES + 122, 1],
    ],
  },
  {
    size: 6 * CHUNK_BYTES,
    data: [
      [CHUNK_BYTES + 500_000, 1],
      [4 * CHUNK_BYTES + 500_000, 1],
    ],
  },
];

/** Makes a file. @returns its path */
function makeFile(path: string, { size, data }: Sketch): string {
  const file = fs.openSync(path, 'wx');
  fs.ftruncateSync(file, size);
  for (const [position, length] of data) fs.writeSync(file, randomBytes(length), 0, length, position);
  fs.closeSync(file);
  return path;
}

/** The same as bytes; no byte of the data is zero. */
function bytesOf({ size, data }: Sketch): Buffer {
  const bytes = Buffer.alloc(size);
  for (const [position, length] of data) bytes.fill(1 + (position % 255), position, position + length);
  return bytes;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** What a file has, calculated from all of it. */
async function contentOf(path: string, kind: DigestKind): Promise<Content> {
  const bytes = fs.readFileSync(path);
  return { size: bytes.length, digest: kind === 'whole' ? sha256(bytes) : await digestSparse(path) };
}

const byProgram = (path: string) => execFileSync('zstd', ['-dqc', path], { maxBuffer: 1 << 30, stdio: 'pipe' });

/** Bytes that a file takes on the disk. */
function bytesOnDisk(path: string): number {
  return fs.statSync(path).blocks * 512;
}

/** Asserts that this process has no file below the directory open. */
function assertNoneOpen(directory: string): void {
  const targets = fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [fs.readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // That of this listing.
      return [];
    }
  });
  assert.deepEqual(
    targets.filter((target) => target.startsWith(directory)),
    [],
  );
}

/** Bytes that this process has read, from files and all else. */
function bytesRead(): number {
  return Number(/^rchar: (\d+)$/m.exec(fs.readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

/** Waits until some of a file has been written. */
async function begun(path: string): Promise<void> {
  const end = Date.now() + 60_000;
  while ((fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0 && Date.now() < end) await nextTurn();
}

describe('a packed file', () => {
  for (const [at, sketch] of SKETCHES.entries()) {
    const holes = sketch.data.reduce((left, [, length]) => left - length, sketch.size);
    it(`of ${sketch.size} bytes, ${holes} of them in holes, comes back (${at + 1})`, async (context) => {
      const directory = scratchDirectory(context);
      const from = makeFile(join(directory, 'file'), sketch);
      const bytes = fs.readFileSync(from);
      for (const kind of KINDS) {
        const [to, back] = [join(directory, `${kind}.zst`), join(directory, kind)];
        const content = await contentOf(from, kind);
        const packed = await packFile(from, to, kind);
        const written = fs.readFileSync(to);
        assert.deepEqual(packed, { content, digest: sha256(written), size: written.length });
        assert.ok(byProgram(to).equals(bytes), 'by the program');
        assert.deepEqual(await writeContent(unpackZstdStream(inPieces(written, 9999)), back, kind), content);
        assert.ok(fs.readFileSync(back).equals(bytes), 'by the stream');
      }
      assertNoneOpen(directory);
    });
  }

  it('was read without its holes', async (context) => {
    const directory = scratchDirectory(context);
    const size = 64 * CHUNK_BYTES;
    const everyFourth = Array.from({ length: 16 }, (_, at) => [(4 * at + 3) * CHUNK_BYTES, CHUNK_BYTES] as const);
    for (const data of [[[size - 1, 1] as const], everyFourth]) {
      const from = makeFile(join(directory, `file-${data.length}`), { size, data });
      const before = bytesRead();
      const { content } = await packFile(from, join(directory, `packed-${data.length}`), 'sparse');
      const chunks = (bytesRead() - before) / CHUNK_BYTES;
      assert.equal(content.size, size);
      assert.ok(chunks >= data.length && chunks < data.length + 8, `${chunks} chunks for ${data.length}`);
    }
  });

  it('has as many bytes as could be read, if it becomes shorter meanwhile', async (context) => {
    const directory = scratchDirectory(context);
    const [from, to] = [join(directory, 'file'), join(directory, 'packed')];
    const size = 48 * CHUNK_BYTES;
    makeFile(from, { size, data: [[0, size]] });
    const packing = packFile(from, to, 'whole');
    await begun(to);
    const left = 40 * CHUNK_BYTES + 5;
    fs.truncateSync(from, left);
    assert.deepEqual((await packing).content, await contentOf(from, 'whole'));
    assert.equal(byProgram(to).length, left);
  });

  it('is only for its owner, and new', async (context) => {
    const directory = scratchDirectory(context);
    const from = makeFile(join(directory, 'file'), { size: 100, data: [[0, 100]] });
    const [to, link, victim] = ['packed', 'link', 'victim'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await packFile(from, to, 'whole');
    assert.equal(fs.statSync(to).mode & 0o7777, 0o600);
    fs.writeFileSync(victim, 'whole');
    fs.symlinkSync(victim, link);
    fs.symlinkSync(join(directory, 'nowhere'), join(directory, 'broken'));
    for (const name of ['victim', 'link', 'broken'])
      await assert.rejects(packFile(from, join(directory, name), 'whole'), { code: 'EEXIST' });
    assert.equal(fs.readFileSync(victim, 'utf8'), 'whole');
    assert.ok(!fs.existsSync(join(directory, 'nowhere')));
  });

  it('is a regular file', async (context) => {
    const directory = scratchDirectory(context);
    makeFile(join(directory, 'file'), { size: 100, data: [] });
    fs.symlinkSync('file', join(directory, 'link'));
    fs.mkdirSync(join(directory, 'directory'));
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    const pack = (from: string) => packFile(from, join(directory, `${from.replaceAll('/', '-')}.zst`), 'sparse');
    for (const name of ['link', 'directory', 'fifo']) {
      await assert.rejects(pack(join(directory, name)), UnreadableFile);
      assertNoneOpen(directory);
    }
    await assert.rejects(pack('/dev/zero'), UnreadableFile);
    await assert.rejects(pack(join(directory, 'missing')), new UnreadableFile('is missing'));
    assertNoneOpen(directory);
  });

  it('is left where a signal says so, with its reason', async (context) => {
    const directory = scratchDirectory(context);
    const [from, to] = [join(directory, 'file'), join(directory, 'packed')];
    const size = 24 * CHUNK_BYTES;
    makeFile(from, { size, data: [[0, size]] });
    const reason = new Error('enough');
    const early = packFile(from, join(directory, 'early'), 'whole', AbortSignal.abort(reason));
    await assert.rejects(early, (error) => error === reason);
    const controller = new AbortController();
    const packing = packFile(from, to, 'whole', controller.signal);
    await begun(to);
    controller.abort(reason);
    await assert.rejects(packing, (error) => error === reason);
    assert.ok(fs.statSync(to).size < size / 2, `${fs.statSync(to).size} bytes`);
    assertNoneOpen(directory);
  });
});

describe('a written file', () => {
  it('has holes where there are zeros', async (context) => {
    const directory = scratchDirectory(context);
    const size = 8 * CHUNK_BYTES;
    const onDisk = async (name: string, data: Sketch['data']) => {
      const to = join(directory, name);
      const bytes = bytesOf({ size, data });
      await writeContent(inPieces(bytes, 9999), to, 'whole');
      assert.ok(fs.readFileSync(to).equals(bytes), name);
      return bytesOnDisk(to);
    };
    const [nothing, chunk, spread] = [
      await onDisk('nothing', []),
      await onDisk('chunk', [[3 * CHUNK_BYTES, CHUNK_BYTES]]),
      // Two blocks, then some hundred KiB of zeros, in each chunk.
      await onDisk(
        'spread',
        Array.from({ length: 32 }, (_, at) => [at << 18, 8192]),
      ),
    ];
    assert.ok(nothing < CHUNK_BYTES, `${nothing} bytes of zeros`);
    assert.ok(chunk >= CHUNK_BYTES && chunk < 3 * CHUNK_BYTES, `${chunk} bytes with a chunk of data`);
    assert.ok(spread >= 32 * 8192 && spread < size / 2, `${spread} bytes with blocks of data`);
  });

  it('has all data between blocks of zeros', async (context) => {
    const directory = scratchDirectory(context);
    const blocks = (...numbers: number[]) => numbers.map((number) => [number * 4096, 4096] as const);
    for (const [at, sketch] of [
      { size: CHUNK_BYTES, data: blocks(0, 2, 3, 255) },
      { size: CHUNK_BYTES, data: blocks(1, 254) },
      { size: 2 * CHUNK_BYTES, data: blocks(255, 256) },
      { size: CHUNK_BYTES + 4097, data: [[CHUNK_BYTES + 4096, 1]] as const },
      { size: CHUNK_BYTES + 4097, data: [[CHUNK_BYTES + 4095, 1]] as const },
      { size: 3 * 4096, data: [4095, 4096, 8191, 12_287].map((position) => [position, 1] as const) },
    ].entries()) {
      const bytes = bytesOf(sketch);
      const to = join(directory, String(at));
      const content = await writeContent(inPieces(bytes, 9999), to, 'whole');
      assert.deepEqual(content, { size: sketch.size, digest: sha256(bytes) });
      assert.ok(fs.readFileSync(to).equals(bytes), JSON.stringify(sketch));
    }
  });

  it('is the same from pieces of any length', async (context) => {
    const directory = scratchDirectory(context);
    const size = 5 * CHUNK_BYTES + 17;
    const data = [0, 2 * CHUNK_BYTES - 1, size - 1].map((position) => [position, 1] as const);
    const bytes = bytesOf({ size, data });
    bytes.set(randomBytes(9000), 3 * CHUNK_BYTES - 5000);
    const model = join(directory, 'model');
    fs.writeFileSync(model, bytes);
    // 0, 1, 3, 7 bytes, …
    const mixed = async function* () {
      for (let at = 0, length = 0; at < size; at += length, length = 2 * length + 1)
        yield bytes.subarray(at, at + length);
    };
    const lengths = [999, 65_537, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES + 3, size];
    for (const kind of KINDS) {
      const expected = await contentOf(model, kind);
      for (const [at, pieces] of [...lengths.map((length) => inPieces(bytes, length)), mixed()].entries()) {
        const to = join(directory, `${kind}-${at}`);
        assert.deepEqual(await writeContent(pieces, to, kind), expected);
        assert.ok(fs.readFileSync(to).equals(bytes), to);
      }
    }
    assertNoneOpen(directory);
  });

  it('is only for its owner, and new', async (context) => {
    const directory = scratchDirectory(context);
    const write = (name: string) => writeContent(inPieces(Buffer.from('new'), 1), join(directory, name), 'whole');
    await write('file');
    assert.equal(fs.statSync(join(directory, 'file')).mode & 0o7777, 0o600);
    fs.writeFileSync(join(directory, 'victim'), 'whole');
    fs.symlinkSync('victim', join(directory, 'link'));
    fs.symlinkSync('nowhere', join(directory, 'broken'));
    for (const name of ['victim', 'link', 'broken']) await assert.rejects(write(name), { code: 'EEXIST' });
    assert.equal(fs.readFileSync(join(directory, 'victim'), 'utf8'), 'whole');
    assert.ok(!fs.existsSync(join(directory, 'nowhere')));
  });

  it('ends with the error of what it is written from', async (context) => {
    const directory = scratchDirectory(context);
    const reason = new Error('the source is gone');
    const failing = async function* () {
      yield randomBytes(CHUNK_BYTES + 1);
      throw reason;
    };
    await assert.rejects(writeContent(failing(), join(directory, 'file'), 'sparse'), (error) => error === reason);
    assertNoneOpen(directory);
  });
});
