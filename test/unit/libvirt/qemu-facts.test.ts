/** What libvirt knows of QEMU, made smaller for the embedded driver. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { shrinkQemuFacts } from '../../../src/libvirt/qemu-facts.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const MODELS = `  <cpu type='kvm' name='host' typename='host-x86_64-cpu' usable='yes'/>
  <cpu type='tcg' name='EPYC-v4' typename='EPYC-v4-x86_64-cpu' usable='no'>
    <blocker name='fma'/>
    <blocker name='avx'/>
  </cpu>
  <cpu type='tcg' name='max' typename='max-x86_64-cpu' usable='yes'/>
  <cpu type='tcg' name='Denverton' typename='Denverton-x86_64-cpu' usable='yes'/>
  <cpu type='tcg' name='qemu64' typename='qemu64-x86_64-cpu' usable='no'>
    <blocker name='svm'/>
  </cpu>
`;
const FEW = MODELS.replace(/ {2}<cpu type='tcg' name='EPYC[\s\S]*?<\/cpu>\n/, '').replace(
  / {2}<cpu .*Denverton.*\n/,
  '',
);
const around = (models: string) =>
  `<qemuCaps>\n  <flag name='kvm'/>\n${models}  <machine type='tcg' name='q35'/>\n</qemuCaps>\n`;

/** A cache with one file. */
function cacheOf(t: TestContext, content: string): { cache: string; file: string } {
  const cache = scratchDirectory(t);
  const directory = join(cache, 'qemu/capabilities');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'a.xml');
  writeFileSync(file, content, { mode: 0o600 });
  return { cache, file };
}

/** Moves a directory, and makes a link to it. */
function symlinkTo(directory: string): void {
  renameSync(directory, `${directory}.moved`);
  symlinkSync(`${directory}.moved`, directory);
}

describe('what is known of QEMU', () => {
  it('loses the models that no sandbox has, and nothing else; it stays private', (t) => {
    const { cache, file } = cacheOf(t, around(MODELS));
    shrinkQemuFacts(cache);
    assert.equal(readFileSync(file, 'utf8'), around(FEW));
    assert.equal(lstatSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(cache, 'qemu/capabilities')), ['a.xml']);
  });

  it('is made smaller once, and again when libvirt has written it anew', (t) => {
    const { cache, file } = cacheOf(t, around(MODELS));
    shrinkQemuFacts(cache);
    const { ino } = lstatSync(file);
    shrinkQemuFacts(cache);
    assert.equal(lstatSync(file).ino, ino);
    writeFileSync(file, around(MODELS.repeat(2)));
    shrinkQemuFacts(cache);
    assert.equal(readFileSync(file, 'utf8'), around(FEW.repeat(2)));
  });

  for (const [what, content] of [
    ['is still being written', around(MODELS).slice(0, -4)],
    ['has models of another form', around(MODELS.replaceAll('  <', ' <'))],
    ['is empty', ''],
  ] as const)
    it(`keeps all of a file that ${what}`, (t) => {
      const { cache, file } = cacheOf(t, content);
      shrinkQemuFacts(cache);
      assert.equal(readFileSync(file, 'utf8'), content);
    });

  for (const [what, change] of [
    ['is elsewhere, behind a link', (directory: string) => symlinkTo(directory)],
    ['may be changed by others', (directory: string) => chmodSync(directory, 0o777)],
  ] as const)
    it(`stays as it is where its directory ${what}`, (t) => {
      const { cache, file } = cacheOf(t, around(MODELS));
      change(dirname(file));
      shrinkQemuFacts(cache);
      assert.equal(readFileSync(file, 'utf8'), around(MODELS));
    });

  it('is not there: nothing happens', (t) => {
    const cache = scratchDirectory(t);
    shrinkQemuFacts(cache);
    assert.deepEqual(readdirSync(cache), []);
  });
});
