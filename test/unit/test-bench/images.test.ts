/** What the benchmark `images` pulls, and how it measures. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { indexLayers } from '../../../src/oci/layers/index-layers.js';
import { parseDigest } from '../../../src/oci-names/digest.js';
import { BYTES, benchLayers, FILES, filesOfLayers } from '../../bench/images/content.js';
import { measuredRun } from '../../bench/images/measured-run.js';
import { memoryLayer } from '../../helpers/oci/layers.js';

describe('the image of the benchmark', () => {
  it('has as many files and bytes as it says, when its layers are merged', () => {
    const left = new Map<string, number>();
    const layers = filesOfLayers();
    for (const [layer, files] of layers.entries()) {
      for (const { path, size } of files) {
        assert.ok(Number.isInteger(size) && size >= 0, path);
        left.set(path, size);
      }
      // What the archive of the next layer removes.
      for (const { path } of layer < layers.length - 1 ? files.slice(1000, 2000) : []) left.delete(path);
    }
    assert.equal(left.size, FILES);
    assert.equal(
      [...left.values()].reduce((sum, size) => sum + size, 0),
      BYTES,
    );
  });

  it('is an archive for each layer, which replaces and removes files of the one below', async () => {
    // The two upper ones are the smallest.
    const layers = [2, 3].map((at) => {
      const open = () => benchLayers()[at] ?? [];
      const hash = createHash('sha256');
      for (const piece of open()) hash.update(piece);
      const diffId = parseDigest(`sha256:${hash.digest('hex')}`);
      const which = `layer ${at + 1}`;
      return memoryLayer(Buffer.alloc(0), {
        which,
        diffId,
        open: async function* () {
          yield* open();
        },
      });
    });
    const merge = await indexLayers(layers);
    const sizeOf = (path = '') => merge.inodes.columns.size[merge.resolve(path)];
    const [lower = [], upper = []] = filesOfLayers().slice(2);
    for (const { path, size } of upper) assert.equal(sizeOf(path), size, path);
    for (const { path } of lower.slice(0, 1000))
      assert.ok(
        upper.some((one) => one.path === path),
        path,
      );
    for (const { path } of lower.slice(1000, 2000)) assert.equal(merge.resolve(path), 0, path);
    for (const { path, size } of lower.slice(2000)) assert.equal(sizeOf(path), size, path);
  });
});

describe('a run that is measured', () => {
  it('has the time, the processors and the memory of all its processes', async () => {
    const script = 'const b = Buffer.alloc(1 << 27, 1); while (process.cpuUsage().user < 500_000); b.fill(2)';
    const { seconds, cpuSeconds, memory } = await measuredRun([
      'sh',
      '-c',
      '"$0" -e "$1"; :',
      process.execPath,
      script,
    ]);
    assert.ok(seconds > 0 && cpuSeconds >= 0.5, `${cpuSeconds}`);
    assert.ok(memory > 128 && memory < 512, `${memory}`);
  });

  it('that fails has what it says', async () => {
    await assert.rejects(measuredRun(['sh', '-c', 'echo why >&2; exit 3']), /failed: why/);
  });
});
