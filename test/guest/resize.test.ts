/** The screen is resized: by viewers of VNC, and by programs of the host. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { connectSandbox, Sandbox, type SandboxOptions } from '../../src/index.js';
import { sizeOfPicture } from '../../src/sandbox/screen/picture.js';
import { ACCELERATION } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { ctl } from '../helpers/ctl.js';
import { BLUE, terminal, unlessDesktop, untilShows, untilWritten } from '../helpers/desktop.js';
import { rejectsWith } from '../helpers/errors.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { ResizingViewer } from '../helpers/resizing-viewer.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

/** Writes where the mouse was pressed, in characters: ESC [ < button ; column ; row M. */
const SCRIPT = String.raw`stty raw -echo; printf '\033[?1000h\033[?1006h'
  while :; do dd bs=64 count=1 2>/dev/null >>/tmp/pressed; done`;
/** Of a character of xterm, in pixels. */
const CELL = [6, 13] as const;

const NOBODY = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/nonexistent', groups: [] };

const { env, remove } = privateStore();
const { XDG_CACHE_HOME: usual } = process.env;

async function started(t: TestContext, options: SandboxOptions) {
  const [warnings, choices]: [string[], string[]] = [[], []];
  const onWarning = (warning: string) => void warnings.push(warning);
  const onChoice = (choice: string) => void choices.push(choice);
  const wanted: SandboxOptions = { acceleration: ACCELERATION, name: uniqueName(), identity: NOBODY, ...options };
  const sandbox = await Sandbox.start(wanted, { connect: embedded.uri, control: true, onWarning, onChoice });
  t.after(() => sandbox.stop());
  const { screen } = sandbox;
  const look = async (seen: { hasCursor?: boolean } = {}) => {
    const viewer = await ResizingViewer.open(screen.vncSocket ?? assert.fail(), seen);
    t.after(() => viewer.close());
    return viewer;
  };
  return { sandbox, screen, warnings, choices, look };
}

/** The last place where the terminal says that it was pressed, from 1. */
async function untilPressed(sandbox: Sandbox, x: number, y: number): Promise<void> {
  const isNear = (text: string) => {
    const [, column = 0, row = 0] = [...text.matchAll(/\[<0;(\d+);(\d+)M/g)].at(-1)?.map(Number) ?? [];
    return Math.abs(column - x / CELL[0]) < 2 && Math.abs(row - y / CELL[1]) < 2;
  };
  await untilWritten(sandbox, '/tmp/pressed', isNear);
}

/** Of a terminal that fills a screen, as stty(1) has it. */
const charactersOf = (width: number, height: number) =>
  `${Math.floor((height - 4) / CELL[1])} ${Math.floor((width - 4) / CELL[0])}\n`;

async function untilSttySays(sandbox: Sandbox, expected: string): Promise<void> {
  for (const deadline = Date.now() + 90_000; ; ) {
    const { stdout } = await sandbox.run('stty -F /dev/pts/0 size');
    if (stdout === expected) return;
    assert.ok(Date.now() < deadline, `${stdout} is not ${expected}`);
  }
}

describe('a screen that is resized', { skip: embedded.skip || unlessDesktop() }, () => {
  before(async () => {
    // The API of this process has the same store.
    process.env['XDG_CACHE_HOME'] = env.XDG_CACHE_HOME;
    await bakeSnapshot(['-c', embedded.uri], { env }, ['--graphics']);
  });
  after(() => {
    if (usual === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = usual;
    remove();
  });

  it('has the size that a viewer asks for, in cage after a warm start, wherever it is looked up', async (t) => {
    const { sandbox, screen, look, warnings } = await started(t, {
      command: terminal(SCRIPT),
      graphics: true,
      boot: 'warm',
    });
    await untilShows(screen, BLUE, 0.9);
    await using other = await connectSandbox(sandbox.name);
    const viewer = await look();
    const second = await look();
    await viewer.untilSize(1280, 800);
    // QEMU's pictures have a width of so many times 16.
    for (const [asked, width, height] of [
      [1606, 1600, 903],
      [1024, 1024, 640],
      [320, 320, 320],
      [1920, 1920, 1080],
    ] as const) {
      const begun = performance.now();
      viewer.resize(asked, height);
      await viewer.untilSize(width, height);
      t.diagnostic(`a picture of ${width}x${height} after ${Math.round(viewer.shown - begun)} ms`);
      await second.untilSize(width, height);
      await untilSttySays(sandbox, charactersOf(width, height));
      const picture = await untilShows(screen, BLUE, 0.9);
      assert.deepEqual(sizeOfPicture(picture), { width, height });
      assert.deepEqual(
        [screen.size, other.screen.size],
        [
          { width, height },
          { width, height },
        ],
      );
      const told = JSON.parse((await ctl(['inspect', sandbox.name])).out) as { screen?: object }[];
      assert.deepEqual(told[0]?.screen, { width, height, vncSocket: screen.vncSocket });
      // The far corner, of this process, of another one, and of the viewer.
      const [x, y] = [width - 8, height - 20];
      for (const click of [
        () => screen.click(x, y),
        () => other.screen.click(x - 30, y - 40),
        () => viewer.click(x - 60, y - 80),
      ].entries()) {
        await click[1]();
        await untilPressed(sandbox, x - 30 * click[0], y - 40 * click[0]);
      }
    }
    await rejectsWith(screen.click(1920, 5), 'point-outside', /1920x1080/);
    assert.deepEqual(warnings, []);
    await sandbox.stop();
    await assertNothingLeft(sandbox.name, embedded.where);
  });

  it('has the size that a program asks for, with viewers and without', async (t) => {
    const { sandbox, screen, warnings } = await started(t, {
      command: terminal(SCRIPT),
      graphics: 'none',
      boot: 'warm',
    });
    await untilShows(screen, BLUE, 0.9);
    await using other = await connectSandbox(sandbox.name);
    await screen.resize({ width: 801, height: 601 });
    assert.deepEqual([screen.size, other.screen.size], Array(2).fill({ width: 801, height: 601 }));
    await other.screen.resize({ width: 1400, height: 1000 });
    assert.deepEqual([screen.size, other.screen.size], Array(2).fill({ width: 1400, height: 1000 }));
    assert.deepEqual(sizeOfPicture(await screen.screenshot()), { width: 1400, height: 1000 });
    await untilSttySays(sandbox, charactersOf(1400, 1000));
    for (const [width, height] of [
      [0, 0],
      [319, 800],
      [800, 4096],
      [800.5, 600],
      [Number.NaN, 600],
    ] as const)
      await rejectsWith(screen.resize({ width, height }), 'screen-size-invalid', /from 320 to 4095/);
    // The program inside gives itself another size, and nobody is told. A pointer goes where the picture says.
    assert.equal((await sandbox.run('wlr-randr --output Virtual-1 --custom-mode 1000x700')).exitCode, 0);
    await untilShows(screen, BLUE, 0.9);
    assert.deepEqual(screen.size, { width: 1000, height: 700 });
    await screen.click(990, 690);
    await untilPressed(sandbox, 990, 690);
    assert.deepEqual(warnings, []);
  });

  it('has the size that is asked for in Xorg, again and again', async (t) => {
    const { sandbox, screen, look, warnings } = await started(t, {
      // Larger than the screen, since nothing gives it another size.
      command: ['xterm', '-geometry', '400x200+0+0', ...terminal(SCRIPT).slice(1)],
      graphics: 'vnc,compositor=xorg',
    });
    await untilShows(screen, BLUE, 0.9);
    const viewer = await look();
    for (const [width, height] of [
      [1600, 700],
      [640, 1000],
      [1600, 700],
      [2048, 1536],
    ] as const) {
      const begun = performance.now();
      viewer.resize(width, height);
      await viewer.untilSize(width, height);
      t.diagnostic(`a picture of ${width}x${height} after ${Math.round(viewer.shown - begun)} ms`);
      assert.deepEqual(sizeOfPicture(await untilShows(screen, BLUE, 0.9)), { width, height });
      assert.deepEqual(screen.size, { width, height });
      viewer.point(width - 100, height - 100);
      viewer.click(width - 8, height - 20);
      await untilPressed(sandbox, width - 8, height - 20);
      await screen.click(width - 50, height - 60);
      await untilPressed(sandbox, width - 50, height - 60);
    }
    const { stdout } = await sandbox.run('xrandr');
    assert.match(stdout, /current 2048 x 1536/);
    // The modes of before are gone.
    assert.deepEqual(stdout.match(/virt-sandbox-\S+/g), ['virt-sandbox-2048x1536']);
    await screen.resize({ width: 1111, height: 777 });
    assert.deepEqual((await sandbox.run('xrandr')).stdout.match(/virt-sandbox-\S+/g), ['virt-sandbox-1111x777']);
    assert.deepEqual(warnings, []);
  });

  for (const [graphics, why] of [
    ['vnc,resize=off', /resize=off/],
    ['vnc,compositor=weston', /weston cannot/],
  ] as const)
    it(`keeps its size with ${graphics}`, async (t) => {
      const { sandbox, screen, look, choices } = await started(t, { command: terminal(SCRIPT), graphics });
      await untilShows(screen, BLUE, 0.1);
      assert.match(choices.join('\n'), why);
      const viewer = await look();
      viewer.resize(800, 608);
      // What the card says has changed, and nobody acts on it.
      await sandbox.run('until od -An -tu1 -j56 -N1 /sys/class/drm/card0-Virtual-1/edid | grep -q " 32$"; do :; done');
      await rejectsWith(screen.resize({ width: 800, height: 600 }), 'resize-failed', why);
      assert.deepEqual(sizeOfPicture(await screen.screenshot()), { width: 1280, height: 800 });
      assert.deepEqual([viewer.width, viewer.height], [1280, 800]);
    });
});

describe('the pointer', { skip: embedded.skip || unlessDesktop() }, () => {
  for (const compositor of ['cage', 'xorg'])
    it(`is drawn by the viewer alone over ${compositor}, before a resize and after it`, async (t) => {
      const { screen, look } = await started(t, {
        command: ['xterm', '-geometry', '400x200+0+0', ...terminal('sleep 10000').slice(1)],
        graphics: `vnc,compositor=${compositor}`,
      });
      await untilShows(screen, BLUE, 0.9);
      const viewer = await look({ hasCursor: true });
      const isShown = async (width: number, height: number) => {
        const [left, top] = [width / 2 - 8, height / 2 - 8];
        const middle = () =>
          Array.from({ length: 256 }, (_, at) => viewer.colourAt(left + (at % 16), top + Math.floor(at / 16)));
        viewer.point(200, 300);
        await viewer.untilSize(width, height);
        // The picture of a viewer may be older than one that QEMU is asked for.
        await viewer.until(() => middle().every((colour) => colour === BLUE), 'the window');
        viewer.point(width / 2, height / 2);
        await viewer.until(() => (viewer.cursors.at(-1) ?? 0) > 10, 'a shape');
        // None is in the picture.
        assert.deepEqual([...new Set(middle())], [BLUE]);
      };
      await isShown(1280, 800);
      const late = await look({ hasCursor: true });
      await late.until(() => late.cursors.some((pixels) => pixels > 10), 'a shape for one that comes later');
      viewer.resize(1024, 768);
      await viewer.untilSize(1024, 768);
      await untilShows(screen, BLUE, 0.9);
      await isShown(1024, 768);
    });

  it('is in the picture over weston, and nowhere else', async (t) => {
    const { screen, look } = await started(t, {
      command: terminal('sleep 10000'),
      graphics: 'vnc,compositor=weston',
    });
    await untilShows(screen, BLUE, 0.1);
    const viewer = await look({ hasCursor: true });
    await viewer.untilSize(1280, 800);
    viewer.point(20, 30);
    viewer.point(100, 100);
    const isAt = () =>
      Array.from({ length: 24 }, (_, step) => viewer.colourAt(96 + (step % 5), 100 + step)).some(
        (colour) => colour !== BLUE,
      );
    await viewer.until(isAt, 'a pointer in the picture');
    assert.deepEqual(
      viewer.cursors.filter((pixels) => pixels > 0),
      [],
    );
  });
});
