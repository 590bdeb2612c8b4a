/** The image of an overlay: how it is made. What is refused is in test/hostile/overlay-image.test.ts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { defaultConfig } from '../../../../src/config/defaults.js';
import { callerIdentity } from '../../../../src/config/identity.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import { checkOverlayImage, makeOverlayImage } from '../../../../src/sandbox/devices/overlay-image.js';
import { startTime } from '../../../../src/sandbox/state/state-directory.js';
import { sphere } from '../../../../src/util/sphere.js';
import { unlessProgram } from '../../../helpers/images.js';
import { refuses } from '../../config/support.js';

const skip = unlessProgram('qemu-img', 'mke2fs', 'e2fsck');

function directory(t: TestContext): string {
  const path = mkdtempSync('/var/tmp/virt-sandbox-image-');
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function keptIn(path: string): Promise<SandboxConfig> {
  return { ...defaultConfig(await callerIdentity()), overlay: { type: 'image', path } };
}

test('a missing image is made, of the caller alone and without any other file, and stays as it is', {
  skip,
}, async (t) => {
  const path = join(directory(t), 'kept.qcow2');
  const config = await keptIn(path);
  checkOverlayImage(config);
  assert.equal(existsSync(path), false);
  // Two at once use one of them.
  await Promise.all([makeOverlayImage(config), makeOverlayImage(config)]);
  assert.deepEqual(readdirSync(join(path, '..')), ['kept.qcow2']);
  const { mode, uid, size, nlink } = statSync(path);
  assert.deepEqual([mode & 0o7777, uid, nlink], [0o600, process.geteuid?.(), 1]);
  assert.ok(size < 8 << 20, `${size} bytes`);
  const made = readFileSync(path);
  await makeOverlayImage(config);
  assert.ok(readFileSync(path).equals(made));
  const raw = `${path}.raw`;
  execFileSync('qemu-img', ['convert', '-O', 'raw', path, raw]);
  assert.equal(statSync(raw).size, 10 * 2 ** 30);
  execFileSync('e2fsck', ['-fn', raw], { stdio: 'pipe' });
});

test('what a process that was killed has begun is removed, and what another one makes is not', { skip }, async (t) => {
  const path = join(directory(t), 'kept.qcow2');
  // A number that no process has, and one that another process had before.
  const dead = readFileSync('/proc/sys/kernel/pid_max', 'utf8').trim();
  const nameOf = (maker: string) => `.overlay-${maker}-0123456789abcdef.tmp`;
  const [gone, reused, abandoned] = [`${sphere()}-${dead}-7`, `${sphere()}-1-0`, `0123456789ab-6-${dead}-7`].map(
    nameOf,
  );
  const [living, elsewhere] = [`${sphere()}-1-${startTime(1)}`, `0123456789ab-5-${dead}-7`].map(nameOf);
  const make = () => {
    for (const name of [gone, reused, abandoned, living, elsewhere, '.overlay-mine.tmp'])
      mkdirSync(join(path, '..', name ?? ''), { recursive: true });
    utimesSync(join(path, '..', abandoned ?? ''), 1, 1);
  };
  // Also beside an image that is there.
  for (let turn = 0; turn < 2; turn += 1) {
    make();
    await makeOverlayImage(await keptIn(path));
    assert.deepEqual(
      readdirSync(join(path, '..')).sort(),
      [living, elsewhere, '.overlay-mine.tmp', 'kept.qcow2'].sort(),
    );
  }
});

test('nothing is made where somebody else could put another file, or where nothing is', async (t) => {
  const above = directory(t);
  for (const [path, code] of [
    [join(above, 'none/kept.qcow2'), 'overlay-image-unusable'],
    [join(above, 'open/kept.qcow2'), 'overlay-image-open'],
  ] as const) {
    if (code === 'overlay-image-open') {
      mkdirSync(join(path, '..'));
      chmodSync(join(path, '..'), 0o777);
    }
    const config = await keptIn(path);
    await refuses(() => checkOverlayImage(config), 'config', code, path);
    await refuses(() => makeOverlayImage(config), 'config', code, path);
  }
  assert.deepEqual(readdirSync(above), ['open']);
  assert.deepEqual(readdirSync(join(above, 'open')), []);
});
