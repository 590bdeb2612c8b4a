/**
 * Promise: whatever viewers and the guest say of sizes, the screen has one that a screen may have, and can be looked at and
 * typed on; and nothing is left. The attackers are viewers that ask for impossible sizes, for thousands, and for others
 * than the next one; and root inside that ends or replaces what tells the sizes.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Sandbox, type SandboxOptions } from '../../src/index.js';
import { sizeOfPicture } from '../../src/sandbox/screen/picture.js';
import { ACCELERATION } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessDesktop } from '../helpers/desktop.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { ResizingViewer } from '../helpers/resizing-viewer.js';

async function started(t: TestContext, options: Partial<SandboxOptions> = {}) {
  const warnings: string[] = [];
  const onWarning = (warning: string) => void warnings.push(warning);
  const wanted: SandboxOptions = {
    ...{ acceleration: ACCELERATION, name: uniqueName(), command: ['sleep', '10000'], graphics: true },
    ...options,
  };
  const sandbox = await Sandbox.start(wanted, { connect: embedded.uri, control: true, onWarning });
  t.after(() => sandbox.stop());
  const look = async () => {
    const viewer = await ResizingViewer.open(sandbox.screen.vncSocket ?? assert.fail());
    t.after(() => viewer.close());
    return viewer;
  };
  return { sandbox, screen: sandbox.screen, warnings, look };
}

async function untilWarned(warnings: readonly string[], pattern: RegExp): Promise<void> {
  for (const deadline = Date.now() + 90_000; !warnings.some((warning) => pattern.test(warning)); ) {
    assert.ok(Date.now() < deadline, `no warning ${pattern} in ${warnings.join('; ')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a screen that is resized', { skip: embedded.skip || unlessDesktop() }, () => {
  it('gets no impossible size, and is right after thousands', async (t) => {
    const { sandbox, screen, warnings, look } = await started(t);
    const viewer = await look();
    await viewer.untilSize(1280, 800);
    viewer.resize(800, 608);
    await viewer.untilSize(800, 608);
    // For a side of 0 QEMU itself puts 1280x800 in.
    for (const [width, height] of [
      [1, 1],
      [319, 319],
      [800, 1],
      [65_535, 65_535],
      [65_535, 608],
      [4096, 4096],
      [800, 2161],
    ] as const)
      viewer.resize(width, height);
    // Each of these comes to the guest, if the one before did.
    const picture = await screen.screenshot();
    assert.deepEqual(sizeOfPicture(picture), { width: 800, height: 608 });
    viewer.resize(0, 0);
    const begun = Date.now();
    let asked = 0;
    for (; Date.now() - begun < 1000 || asked < 3000; asked += 1) {
      viewer.resize(400 + ((asked * 16) % 1600), 400 + (asked % 1000));
      if (asked % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    t.diagnostic(`${asked} sizes in ${Date.now() - begun} ms`);
    // The kernel loses a size that comes while it reads the one before (docs/decisions/0075-resize.md).
    const edid = 'od -An -tu1 -j56 -N6 /sys/class/drm/card0-Virtual-1/edid';
    await sandbox.run(`before=; while now=$(${edid}); [ "$now" != "$before" ]; do before=$now; sleep 2; done`);
    viewer.resize(1024, 768);
    await viewer.untilSize(1024, 768);
    assert.deepEqual(sizeOfPicture(await screen.screenshot()), { width: 1024, height: 768 });
    assert.deepEqual(screen.size, { width: 1024, height: 768 });
    await screen.click(1020, 760);
    assert.deepEqual(warnings, []);
    await sandbox.stop();
    await assertNothingLeft(sandbox.name, embedded.where);
  });

  it('has one size when two viewers fight for it, and they see the same', async (t) => {
    const { sandbox, screen, warnings, look } = await started(t);
    const [one, two] = [await look(), await look()];
    for (let round = 0; round < 300; round += 1) {
      one.resize(640, 480);
      two.resize(1024, 768);
      if (round % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // What one asks for when the other has given up, and the kernel has read what came before.
    await two.until(() => two.width !== 1280, 'another size');
    await sandbox.run('sleep 2');
    one.resize(1600, 1200);
    for (const viewer of [one, two]) await viewer.untilSize(1600, 1200);
    assert.deepEqual(screen.size, { width: 1600, height: 1200 });
    assert.deepEqual(warnings, []);
  });

  it('keeps its size, and says so, when root inside ends what tells the sizes', async (t) => {
    const { sandbox, screen, warnings, look } = await started(t, { privileged: true });
    const viewer = await look();
    await viewer.untilSize(1280, 800);
    // It has the name and the words of the init, and is who listens to the kernel itself, and not to udev.
    const listening = 'awk \'$2 == 15 && $4 == "00000001" { print $3 }\' /proc/net/netlink';
    const pid = (await sandbox.run(listening)).stdout.trim();
    assert.match(pid, /^[1-9]\d*$/);
    await sandbox.run(['kill', '-9', pid]);
    await untilWarned(warnings, /viewers do not change the size of the screen any more/);
    viewer.resize(800, 608);
    await sandbox.run('until od -An -tu1 -j56 -N1 /sys/class/drm/card0-Virtual-1/edid | grep -q " 32$"; do :; done');
    assert.deepEqual(sizeOfPicture(await screen.screenshot()), { width: 1280, height: 800 });
    // A program may still.
    await screen.resize({ width: 1000, height: 640 });
    await viewer.untilSize(1000, 640);
    assert.equal(warnings.length, 1);
  });

  it('says once that what shows it does not answer, and goes on', async (t) => {
    const { sandbox, screen, warnings, look } = await started(t);
    const viewer = await look();
    await viewer.untilSize(1280, 800);
    const pids = 'for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = cage ] && basename $p; done; true';
    const pid = (await sandbox.run(pids)).stdout.trim();
    await sandbox.run(['kill', '-STOP', pid]);
    viewer.resize(800, 608);
    await untilWarned(warnings, /cannot get the size 800x608: cage does not give it that size: it does not answer/);
    assert.ok((await screen.screenshot()).length > 1000);
    await sandbox.run(['kill', '-CONT', pid]);
    viewer.resize(1024, 768);
    await viewer.untilSize(1024, 768);
    assert.equal(warnings.length, 1);
  });

  it('reads only so much of what root inside says in the name of the compositor and of the card', async (t) => {
    const { sandbox, screen, warnings, look } = await started(t, { privileged: true });
    const viewer = await look();
    await viewer.untilSize(1280, 800);
    // Behind its socket there is one that talks without end.
    const socket = '/dev/.virt-sandbox/screen/user/wayland-0';
    const liar = `const fs = require('node:fs'), net = require('node:net'); fs.unlinkSync('${socket}');
      net.createServer((s) => { s.on('error', () => {}); const talk = () => { while (s.write(Buffer.alloc(65536, 1))); };
        s.on('drain', talk).resume(); talk(); }).listen('${socket}', () => console.log('there'));`;
    const lying = await sandbox.spawn([process.execPath, '-e', liar]);
    await new Promise((resolve) => lying.stdout.once('data', resolve));
    viewer.resize(800, 608);
    await untilWarned(warnings, /cannot get the size 800x608: cage does not give it that size/);
    assert.ok((await screen.screenshot()).length > 1000);
    assert.ok(process.memoryUsage().rss < 2 ** 30);
    await sandbox.stop();
    await assertNothingLeft(sandbox.name, embedded.where);
  });
});
