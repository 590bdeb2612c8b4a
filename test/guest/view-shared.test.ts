/** The viewer in a browser: the clipboard, and root who looks at the screen of a user. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { Sandbox, type SandboxOptions } from '../../src/index.js';
import { ACCEL, ACCELERATION } from '../helpers/acceleration.js';
import { newPage, startBrowser, unlessBrowser, untilState } from '../helpers/browser.js';
import { copyInside, startedWithViewer, unlessClipboard, untilPasted } from '../helpers/clipboard.js';
import { embedded } from '../helpers/connections.js';
import { fails } from '../helpers/ctl.js';
import { uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { startSandbox } from '../helpers/run.js';
import { startView } from '../helpers/viewer.js';

const SLEEP = ['sleep', '1000'];
const BARE = 'vnc,compositor=none';
/** SetEncodings with the one pseudo-encoding of the extended clipboard. */
const WANTS_TEXTS = Buffer.from('02000001c0a1e5ce', 'hex');
/** That there is a text, and nothing else. */
const TEXT_IS_THERE = 0x0800_0001;

/** A viewer beside the page, which sees when QEMU tells of a text, and can give one. */
class OtherViewer {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(t: TestContext, path: string): Promise<OtherViewer> {
    const socket = connect(path);
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    // QEMU reads one after the other.
    socket.write(Buffer.concat([Buffer.from('RFB 003.008\n\u0001\u0001', 'latin1'), WANTS_TEXTS]));
    const viewer = new OtherViewer(socket);
    socket.on('data', (chunk: Buffer) => {
      viewer.#bytes = Buffer.concat([viewer.#bytes, chunk]);
    });
    return viewer;
  }

  give(text: string): void {
    const head = Buffer.from('0600000000000000', 'hex');
    head.writeUInt32BE(text.length, 4);
    this.#socket.write(Buffer.concat([head, Buffer.from(text, 'latin1')]));
  }

  /** Whether QEMU has told of a text. */
  get wasTold(): boolean {
    const name = this.#bytes.length < 42 ? undefined : this.#bytes.readUInt32BE(38);
    if (name === undefined) return false;
    for (let at = 42 + name; at + 12 <= this.#bytes.length; ) {
      assert.equal(this.#bytes[at], 3, 'nothing but texts was asked for');
      if (this.#bytes.readUInt32BE(at + 8) === TEXT_IS_THERE) return true;
      at += 8 + Math.abs(this.#bytes.readInt32BE(at + 4));
    }
    return false;
  }
}

describe('the viewer of a sandbox', { skip: embedded.skip || unlessBrowser() || unlessClipboard() }, () => {
  let browser: Browser;
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser?.close());

  for (const isShared of [true, false])
    it(`${isShared ? 'shares the clipboard with --clipboard' : 'shares no clipboard without'}`, async (t) => {
      const options: SandboxOptions = {
        acceleration: ACCELERATION,
        name: uniqueName(),
        command: SLEEP,
        graphics: BARE,
      };
      const sandbox = await Sandbox.start(options, { connect: embedded.uri, control: true });
      t.after(() => sandbox.stop());
      const other = await OtherViewer.open(t, sandbox.screen.vncSocket ?? '');
      const { url } = await startView(t, [...(isShared ? ['--clipboard'] : []), sandbox.name]);
      const { page, context } = await newPage(t, browser);
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      await page.goto(url);
      await untilState(page, 'connected');
      const readText = () => page.evaluate<string>('navigator.clipboard.readText()');

      await page.evaluate("navigator.clipboard.writeText('of the host')");
      await page.mouse.click(300, 300);
      if (isShared) while (!other.wasTold) await page.waitForTimeout(20);
      other.give('of the other viewer');
      if (isShared) {
        while ((await readText()) !== 'of the other viewer') await page.waitForTimeout(20);
        return;
      }
      // What would have come has come before these: keys and pictures take the same way.
      await page.keyboard.type('abc');
      await page.waitForTimeout(2000);
      assert.equal(other.wasTold, false);
      assert.equal(await readText(), 'of the host');
    });

  it('carries texts between the browser and programs inside, with --clipboard of both', async (t) => {
    const { sandbox } = await startedWithViewer(t, embedded.uri, { clipboard: 'both' }, { control: true });
    const { url } = await startView(t, ['--clipboard', sandbox.name]);
    const { page, context } = await newPage(t, browser);
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.goto(url);
    await untilState(page, 'connected');
    await page.evaluate("navigator.clipboard.writeText('of the browser: grüße\\nzwei')");
    await page.mouse.click(300, 300);
    await untilPasted(sandbox, 'of the browser: grüße\nzwei');
    await copyInside(sandbox, 'of the guest: 😀\nzwei');
    const readText = () => page.evaluate<string>('navigator.clipboard.readText()');
    while ((await readText()) !== 'of the guest: 😀\nzwei') await page.waitForTimeout(20);
  });

  it('shows root the screen of a user', { skip: unlessOrdinaryUser() }, async (t) => {
    const user = await OrdinaryUser.create();
    t.after(() => user.end());
    const name = uniqueName();
    const words = ['-c', 'qemu:///session', ...ACCEL, '-n', name, `--graphics=${BARE}`, '--', 'sh', '-c'];
    const running = startSandbox([...words, 'echo runs; sleep 1000'], user.options);
    t.after(async () => {
      running.child.kill('SIGTERM');
      await running.result;
    });
    await running.until(/runs/);
    const own = await startView(t, [name], user.options);
    // Root finds the home of that user.
    const passwd = join(user.home, 'passwd');
    const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
    const moved = lines.map((line) =>
      line.startsWith('nobody:') ? line.split(':').with(5, user.home).join(':') : line,
    );
    writeFileSync(passwd, moved.join('\n'));
    const through = ['unshare', '--mount', '--', 'sh', '-ec', 'mount --bind "$0" /etc/passwd; exec "$@"', passwd];
    const roots = await startView(t, [`nobody/${name}`], { through });
    for (const { url } of [own, roots]) {
      const { page } = await newPage(t, browser);
      await page.goto(url);
      await untilState(page, 'connected');
      assert.equal(await page.getAttribute('canvas', 'width'), '1280');
    }
    await fails(['view', '--clipboard', `nobody/${name}`], /clipboard is not shared .* of another user/, { through });
  });
});
