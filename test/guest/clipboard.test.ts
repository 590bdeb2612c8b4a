/** Texts of the clipboard: between viewers of VNC and programs on the screen, as far as was asked for. */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import {
  copyInside,
  opened,
  pasteInside,
  startedWithViewer,
  unlessClipboard,
  untilPasted,
} from '../helpers/clipboard.js';
import { embedded, system } from '../helpers/connections.js';
import { assertNothingLeft } from '../helpers/leftovers.js';
import { Viewer } from '../helpers/rfb.js';
import { assertFailure, runSandbox } from '../helpers/run.js';

const TEXT = 'grüße €\n\tzwei "Zeilen" 😀\n';

const ways = [
  { way: embedded, compositor: 'cage' },
  { way: system, compositor: 'xorg' },
  { way: embedded, compositor: 'weston' },
];
for (const { way, compositor } of ways)
  describe(`the clipboard of ${compositor} over ${way.uri}`, { skip: way.skip || unlessClipboard() }, () => {
    it('passes both ways, if that is asked for', async (t) => {
      const graphics = `vnc,compositor=${compositor}`;
      const { sandbox, warnings, viewer } = await startedWithViewer(t, way.uri, { graphics, clipboard: 'both' });
      viewer.copy(TEXT);
      await untilPasted(sandbox, TEXT);
      viewer.copyPlain(Buffer.from('caf\xe9', 'latin1'));
      await untilPasted(sandbox, 'café');
      assert.equal((await sandbox.run('wl-paste -n || true')).stdout, compositor === 'xorg' ? '' : 'café');

      const other = await opened(t, sandbox);
      // What a terminal would take for more than text is left out.
      await copyInside(sandbox, `${TEXT}a\u001b[31mb\u0007\u009b\r\nc`);
      const copied = `${TEXT}a[31mb\nc`;
      for (const each of [viewer, other]) {
        await each.until(() => each.texts.includes(copied));
        assert.deepEqual(each.texts.slice(-1), [copied]);
      }

      // A desktop hands it to another viewer, which hands it back: that goes nowhere, and what follows does.
      other.copy(copied);
      await viewer.until(() => viewer.texts.filter((text) => text === copied).length === 2);
      assert.equal(await pasteInside(sandbox), `${TEXT}a\u001b[31mb\u0007\u009b\r\nc`);
      for (const text of ['next', 'inside again', 'next'])
        if (text === 'next') {
          other.copy(text);
          await untilPasted(sandbox, text);
        } else await copyInside(sandbox, text);
      assert.deepEqual(warnings, []);
      await sandbox.stop();
      await assertNothingLeft(sandbox.name, way.where);
    });
  });

describe('the clipboard of a sandbox', { skip: embedded.skip || unlessClipboard() }, () => {
  it('gets what viewers copy with host-to-guest, and they get nothing', async (t) => {
    const { sandbox, warnings, viewer } = await startedWithViewer(t, embedded.uri, { clipboard: 'host-to-guest' });
    for (const round of ['first', 'second', 'third']) {
      await copyInside(sandbox, `secret ${round}`);
      assert.equal(await pasteInside(sandbox), `secret ${round}`);
      viewer.copy(`of the viewer, ${round}`);
      await untilPasted(sandbox, `of the viewer, ${round}`);
    }
    // The same once more: it is another text that is inside now.
    await copyInside(sandbox, 'secret');
    viewer.copy('of the viewer, third');
    await untilPasted(sandbox, 'of the viewer, third');
    assert.deepEqual([viewer.texts, viewer.notified], [[], 0]);
    assert.deepEqual(warnings, []);
  });

  it('is its own by default', async (t) => {
    const { sandbox, viewer } = await startedWithViewer(t, embedded.uri, {});
    const other = await opened(t, sandbox);
    for (const round of ['first', 'second', 'third']) {
      await copyInside(sandbox, `inside, ${round}`);
      viewer.copy(`of the viewer, ${round}`);
      // QEMU has it, and hands it to whoever is there.
      await other.until(() => other.texts.includes(`of the viewer, ${round}`));
      assert.equal(await pasteInside(sandbox), `inside, ${round}`);
    }
    assert.deepEqual(viewer.texts, []);
  });

  it('is carried on beside a viewer that asks to be alone, and when viewers come and go', async (t) => {
    const { sandbox, viewer } = await startedWithViewer(t, embedded.uri, { clipboard: 'both' });
    const { vncSocket = assert.fail() } = sandbox.screen;
    const alone = await Viewer.open(vncSocket, { isShared: false });
    t.after(() => alone.close());
    viewer.copy('one');
    await untilPasted(sandbox, 'one');
    alone.close();
    viewer.close();
    const later = await opened(t, sandbox);
    await copyInside(sandbox, 'two');
    await later.until(() => later.texts.includes('two'));
    later.copy('three');
    await untilPasted(sandbox, 'three');
  });

  it('has what a Wayland program copies, in weston', async (t) => {
    const graphics = 'vnc,compositor=weston';
    const { sandbox, viewer } = await startedWithViewer(t, embedded.uri, { graphics, clipboard: 'both' });
    const copying = sandbox.run('wl-copy --type "text/plain;charset=utf-8" >/dev/null 2>&1', { input: TEXT });
    await viewer.until(() => viewer.texts.includes(TEXT));
    assert.equal((await copying).exitCode, 0);
  });

  it('needs programs of the root, which an error names', async (t) => {
    const root = mkdtempSync('/var/tmp/virt-sandbox-test-');
    t.after(() => rmSync(root, { recursive: true }));
    chmodSync(root, 0o755);
    for (const directory of ['bin', 'dev', 'proc', 'sys', 'run', 'tmp', 'usr', 'usr/bin'])
      mkdirSync(join(root, directory));
    cpSync('/bin/busybox', join(root, 'bin/sh'));
    writeFileSync(join(root, 'usr/bin/cage'), '');
    const words = ['-c', embedded.uri, ...ACCEL, '--graphics', '--clipboard', 'host-to-guest'];
    const without = await runSandbox([...words, '-r', root, '--', '/bin/sh', '-c', 'true']);
    assertFailure(without, /there is no xclip/, /apt-get install xclip/);
    const hidden = await runSandbox([...words, '--hide', '/usr/bin/Xwayland', '--', 'true']);
    assertFailure(hidden, /there is no Xwayland/, /apt-get install xwayland/);
  });
});
