/** Headers of kernels, without a file: segments, notes, and what is kept of them. */
import assert from 'node:assert/strict';
import { elfMachineOf, hasPvhEntry, segmentsEnd, segmentsOf } from '../../../src/kernel/elf.js';
import { foreignArchitectureOf, parseBzImage } from '../../../src/kernel/header.js';
import { slimKernel } from '../../../src/kernel/slim.js';
import { valueOrRefusal } from './support/expect.js';
import type { Target } from './support/target.js';

export const target: Target = {
  kind: 'sync',
  mostBytes: 4096,
  quickRuns: 15_000,
  read(data) {
    foreignArchitectureOf(data);
    const header = parseBzImage(data);
    if (header?.version !== undefined) assert.match(header.version, /^[\w.+~-]+$/);
    elfMachineOf(data);
    const segments = valueOrRefusal(() => segmentsOf(data), Error);
    if (segments === undefined) return;
    hasPvhEntry(data, segments);
    if (segmentsEnd(segments) > data.length) return;
    const slim = valueOrRefusal(() => slimKernel(data, segments), Error);
    // Each part lies in the file, behind the one before it.
    slim?.chunks.reduce((end, { position, data: part }) => {
      assert.ok(position >= end && position + part.length <= slim.size);
      return position + part.length;
    }, 0);
  },
};
