/** The small CPU map that the embedded driver reads in place of libvirt's. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { smallCpuMap } from '../../../src/libvirt/cpu-map.js';
import { scratchDirectory, unlessRoot } from '../../helpers/scratch.js';

const LIBVIRTS = '/usr/share/libvirt/cpu_map';
const skip = !existsSync(LIBVIRTS) && 'libvirt is not installed';

/** libvirt's map, to be changed, and a cache. */
function copies(t: TestContext): { whole: string; cache: string } {
  const directory = scratchDirectory(t);
  const whole = join(directory, 'whole');
  cpSync(LIBVIRTS, whole, { recursive: true });
  return { whole, cache: join(directory, 'cache/libvirt') };
}

describe("the small map, made of libvirt's", { skip }, () => {
  it('has vendors, features and two models, and names no other file of this architecture', (t) => {
    const { whole, cache } = copies(t);
    const map = smallCpuMap(cache, whole);
    assert.equal(map?.whole, whole);
    const small = map?.small ?? '';
    const models = ['x86_486.xml', 'x86_features.xml', 'x86_qemu64.xml', 'x86_vendors.xml'];
    assert.deepEqual(readdirSync(small).sort(), ['index.xml', ...models]);
    for (const file of models)
      assert.equal(readFileSync(join(small, file), 'utf8'), readFileSync(join(whole, file), 'utf8'));
    const index = readFileSync(join(small, 'index.xml'), 'utf8');
    assert.deepEqual([...index.matchAll(/x86_\w+\.xml/g)].map(String).sort(), models);
    assert.match(index, /<arch name='ppc64'>/);
  });

  it("is made once, and anew when libvirt's has changed; the old one goes, and what a killed start left", (t) => {
    const { whole, cache } = copies(t);
    const first = smallCpuMap(cache, whole)?.small ?? '';
    writeFileSync(join(first, 'mark'), '');
    assert.equal(smallCpuMap(cache, whole)?.small, first);
    assert.ok(existsSync(join(first, 'mark')));
    mkdirSync(`${first}.4711`);
    const recent = `${first}.4712`;
    mkdirSync(recent);
    for (const old of [first, `${first}.4711`]) utimesSync(old, 0, 0);
    mkdirSync(join(cache, 'qemu'));
    const index = join(whole, 'index.xml');
    writeFileSync(index, readFileSync(index, 'utf8').replace('x86_486-v1.xml', 'x86_486-v2.xml'));
    const second = smallCpuMap(cache, whole)?.small ?? '';
    assert.notEqual(second, first);
    // Another start may have a recent one mounted.
    const left = [second, recent].map((path) => basename(path));
    assert.deepEqual(readdirSync(cache).sort(), [...left, 'qemu'].sort());
  });

  it('is none where libvirt has another map than this program knows', (t) => {
    const { whole, cache } = copies(t);
    const file = join(whole, 'x86_qemu64.xml');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace("<model name='qemu64'>", "<model name='qemu64'><model name='486'/>"));
    assert.equal(smallCpuMap(cache, whole), undefined);
    rmSync(file);
    assert.equal(smallCpuMap(cache, whole), undefined);
    rmSync(join(whole, 'index.xml'));
    assert.equal(smallCpuMap(cache, whole), undefined);
    assert.equal(existsSync(cache), false);
  });

  it('is made again where a file of it has lost its content', (t) => {
    const { whole, cache } = copies(t);
    const small = smallCpuMap(cache, whole)?.small ?? '';
    const features = join(small, 'x86_features.xml');
    truncateSync(features);
    assert.equal(smallCpuMap(cache, whole)?.small, small);
    assert.equal(readFileSync(features, 'utf8'), readFileSync(join(whole, 'x86_features.xml'), 'utf8'));
  });

  it('is none where another user may write', { skip: unlessRoot('it gives a directory away') }, (t) => {
    const { whole, cache } = copies(t);
    mkdirSync(cache, { recursive: true });
    chownSync(cache, 65534, 65534);
    assert.equal(smallCpuMap(cache, whole), undefined);
    assert.deepEqual(readdirSync(cache), []);
  });

  it('is none where nothing can be kept', (t) => {
    const { whole, cache } = copies(t);
    mkdirSync(join(cache, '..'));
    writeFileSync(cache, '');
    chmodSync(cache, 0o600);
    assert.equal(smallCpuMap(cache, whole), undefined);
  });
});
