/** A small file system in memory that a test fills, and makes room in again. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { isSystemError } from '../../src/util/errors.js';
import { mountGround } from './mount-point.js';

const PIECE = Buffer.alloc(4096);
const FILLER = 'filler';

export class FullDisk {
  /** Where it is mounted. */
  readonly path: string;

  /** @param options of its mount: `size=1M` */
  constructor(context: Pick<TestContext, 'after'>, options: string) {
    this.path = mountGround(context);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=755,${options}`, 'tmpfs', this.path]);
  }

  /** Nothing more can be written. @param left bytes for which there is room all the same */
  fill(left = 0): void {
    const fd = openSync(join(this.path, FILLER), 'a');
    try {
      for (;;) writeSync(fd, PIECE);
    } catch (error) {
      assert.ok(isSystemError(error, 'ENOSPC'), String(error));
    } finally {
      closeSync(fd);
    }
    const filler = join(this.path, FILLER);
    truncateSync(filler, statSync(filler).size - left);
  }

  /** There is room for what it was made for. */
  makeRoom(): void {
    rmSync(join(this.path, FILLER));
  }
}
