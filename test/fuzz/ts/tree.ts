/** The stream of a tree that a guest sends: what gets through is a tree, in any pieces, and encodes to its own bytes. */
import assert from 'node:assert/strict';
import { TreeDecoder, TreeFormatError } from '../../../src/sandbox/files/tree/decode.js';
import * as encode from '../../../src/sandbox/files/tree/encode.js';
import {
  MAX_DEPTH,
  MAX_SHARED_PATH_BYTES,
  type TreeMeta,
  type TreeSink,
} from '../../../src/sandbox/files/tree/format.js';
import { timeOf } from '../../../src/sandbox/files/tree/times.js';
import { valueOrRefusal } from './support/expect.js';
import type { Target } from './support/target.js';

/** Checks what reaches the host's files, and encodes it again. */
class Checker implements TreeSink {
  readonly records: Buffer[] = [];
  #depth = 0;
  #isFirst = true;
  #file: { readonly size: number; end: number; extentEnd: number } | undefined;
  /** Files that may have further names, and the bytes of their paths. */
  readonly shared: number[] = [];
  readonly #path: number[] = [];

  directory(name: Buffer, meta: TreeMeta): void {
    this.#entry(name, meta);
    this.#path.push(this.#depth === 0 ? 0 : name.length + 1);
    this.#depth += 1;
    assert.ok(this.#depth <= MAX_DEPTH);
    this.records.push(encode.encodeDirectory(name, meta));
  }

  leave(): void {
    this.#depth -= 1;
    this.#path.pop();
    assert.ok(this.#depth >= 0 && this.#file === undefined);
    this.records.push(encode.encodeLeave());
  }

  hardLink(name: Buffer, number: number): Promise<void> {
    this.#name(name);
    assert.ok(name.length > 0 && number < this.shared.length);
    this.records.push(encode.encodeHardLink(name, number));
    return Promise.resolve();
  }

  file(name: Buffer, meta: TreeMeta, size: number, isShared: boolean): void {
    this.#entry(name, meta);
    if (isShared) {
      this.shared.push(this.#path.reduce((sum, each) => sum + each, name.length));
      assert.ok(name.length > 0 && (this.shared.at(-1) ?? 0) <= MAX_SHARED_PATH_BYTES);
    }
    assert.ok(Number.isSafeInteger(size) && size >= 0);
    this.#file = { size, end: 0, extentEnd: 0 };
    this.records.push(encode.encodeFile(name, meta, size, isShared));
  }

  extent(offset: number, bytes: Buffer): void {
    const file = this.#file;
    assert.ok(file !== undefined && bytes.length > 0 && offset >= file.end && offset + bytes.length <= file.size);
    file.end = offset + bytes.length;
    this.records.push(Buffer.from(bytes));
  }

  fileEnd(hasShrunk: boolean): void {
    assert.ok(this.#file !== undefined);
    this.#file = undefined;
    this.records.push(encode.encodeFileEnd(hasShrunk ? 1 : 0));
  }

  link(name: Buffer, meta: TreeMeta, target: Buffer): void {
    this.#entry(name, meta);
    assert.ok(target.length > 0 && target.length <= 4095 && !target.includes(0));
    this.records.push(encode.encodeLink(name, meta, target));
  }

  fifo(name: Buffer, meta: TreeMeta): Promise<void> {
    this.#entry(name, meta);
    this.records.push(encode.encodeFifo(name, meta));
    return Promise.resolve();
  }

  skipped(name: Buffer, reason: number): void {
    this.#name(name);
    this.records.push(Buffer.concat([Buffer.of(8, name.length), name, Buffer.of(reason)]));
  }

  #entry(name: Buffer, meta: TreeMeta): void {
    this.#name(name);
    assert.equal(meta.mode & ~0o7777, 0);
    const time = timeOf(meta);
    assert.ok(time >= 0 && time <= 2 ** 40 + 1);
  }

  #name(name: Buffer): void {
    assert.equal(this.#file, undefined);
    assert.equal(name.length === 0, this.#isFirst);
    assert.equal(this.#depth === 0, this.#isFirst);
    this.#isFirst = false;
    const text = name.toString('latin1');
    assert.ok(!/[/\0]/.test(text) && text !== '.' && text !== '..' && name.length <= 255);
  }
}

/** What came of a stream, in pieces of a size: all that reached the files, and whether it is a whole tree. */
function decode(stream: Buffer, size: number): { readonly bytes: Buffer; readonly isWhole: boolean } {
  const checker = new Checker();
  const decoder = new TreeDecoder(checker);
  const isWhole = valueOrRefusal(() => {
    for (let at = 0; at < stream.length; at += size) {
      for (const _pause of decoder.push(stream.subarray(at, at + size)));
    }
    decoder.end();
    return true;
  }, TreeFormatError);
  return { bytes: Buffer.concat(checker.records), isWhole: isWhole === true };
}

/** The stream without what stands before the bytes of extents. */
function withoutExtents(stream: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  const take = (size: number) => {
    parts.push(stream.subarray(at, at + size));
    at += size;
  };
  while (at < stream.length) {
    const type = stream[at];
    if (type === 4) {
      const length = stream.readUInt32BE(at + 9);
      at += 13;
      take(length);
    } else if (type === 2) take(1);
    else if (type === 5) take(2);
    else if (type === 9) at += 1;
    else {
      const behindName = at + 2 + stream.readUInt8(at + 1);
      const more = { 1: 14, 3: 22, 7: 14, 8: 1, 10: 22, 11: 4 }[type ?? 0] ?? 16 + stream.readUInt16BE(behindName + 14);
      take(behindName - at + more);
    }
  }
  return Buffer.concat(parts);
}

export const target: Target = {
  kind: 'sync',
  mostBytes: 4096,
  quickRuns: 20_000,
  read(data) {
    const size = data[0] ?? 0;
    const stream = data.subarray(1);
    const whole = decode(stream, stream.length || 1);
    const pieces = decode(stream, (size % 40) + 1);
    assert.deepEqual(pieces.isWhole, whole.isWhole);
    if (!whole.isWhole) return;
    assert.ok(pieces.bytes.equals(whole.bytes));
    assert.ok(whole.bytes.equals(withoutExtents(stream)));
  },
};
