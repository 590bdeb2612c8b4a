/**
 * Promise: what a program inside does with its clipboard, and what a viewer sends for it, is bounded: the launcher goes on,
 * and the next text passes. The attackers are a program inside that copies far too much, far too often, or never hands it
 * over; root inside, which replaces what reads and writes the clipboard; and viewers that send too much, or read nothing.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateSync } from 'node:zlib';
import type { Sandbox } from '../../src/index.js';
import { copyInside, opened, startedWithViewer, unlessClipboard, untilPasted } from '../helpers/clipboard.js';
import { embedded } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs } from '../helpers/leftovers.js';
import type { ClipboardViewer } from '../helpers/rfb-clipboard.js';

/** What this process may have more when it was sent too much: several texts of the largest size, not a hundred megabytes. */
const MOST_GROWTH = 64 << 20;

const COPY = 'xclip -selection clipboard >/dev/null 2>&1';
const count = async (sandbox: Sandbox, pattern: string) =>
  Number((await sandbox.run(`ps -eo args | grep -c "${pattern}" || true`)).stdout);

describe('the clipboard', { skip: embedded.skip || unlessClipboard() }, () => {
  it('bears a program that copies too much, too often, and hands nothing over', async (t) => {
    const { sandbox, viewer, warnings } = await startedWithViewer(t, embedded.uri, { clipboard: 'both' });
    const silent = await opened(t, sandbox);
    silent.stopReading();
    const before = process.memoryUsage().rss;

    // A hundred megabytes, and what is just too large.
    for (const size of [100_000_000, 1_000_001]) {
      await sandbox.run(`head -c ${size} /dev/zero | tr '\\0' a | ${COPY}`, { reject: true });
      await copyInside(sandbox, `after ${size}`);
      await viewer.until(() => viewer.texts.includes(`after ${size}`));
    }
    // The largest that passes, for a viewer that reads nothing, too.
    const largest = 'b'.repeat(1_000_000);
    await copyInside(sandbox, largest);
    await viewer.until(() => viewer.texts.includes(largest));

    // As fast as it can.
    const flood = `for one in 1 2 3; do timeout 5 sh -c 'while :; do echo $0 | ${COPY}; done' $one & done; wait`;
    const [begun, notified] = [performance.now(), viewer.notified];
    await sandbox.run(flood, { reject: true });
    assert.ok(viewer.notified - notified < (performance.now() - begun) / 500);

    // Its owner answers nobody; what comes then is looked at when a while has passed.
    await copyInside(sandbox, 'never handed over');
    await sandbox.run('kill -STOP $(pgrep -f "^xclip -selection clipboard$")', { reject: true });
    assert.ok((await sandbox.screen.screenshot()).length > 1000);
    viewer.copy('of the viewer');
    await untilPasted(sandbox, 'of the viewer');
    await copyInside(sandbox, Buffer.from('a\0b \xff \x1b]0;x\x07', 'latin1'));
    await viewer.until(() => viewer.texts.at(-1)?.startsWith('ab') === true);
    assert.equal(viewer.texts.at(-1), 'ab \ufffd ]0;x');

    assert.ok(process.memoryUsage().rss - before < MOST_GROWTH);
    assert.deepEqual(warnings, []);
    await sandbox.stop();
    await assertNothingLeft(sandbox.name, exceptLogs(embedded.where));
  });

  it('bears a viewer that sends too much, too often, and what is no text', async (t) => {
    const { sandbox, viewer, warnings } = await startedWithViewer(t, embedded.uri, { clipboard: 'host-to-guest' });
    for (let number = 0; number < 2000; number += 1) viewer.copy(`flood ${number}`);
    await untilPasted(sandbox, 'flood 1999');
    assert.ok((await count(sandbox, '^/usr/bin/xclip.*-in')) <= 2);

    // A bomb, which is a thousand times as large when it is unpacked; a length that is a lie; and nothing.
    const attacks: ((attacker: ClipboardViewer) => void)[] = [
      (attacker) => attacker.copyPacked(deflateSync(Buffer.alloc(500_000_000))),
      (attacker) => attacker.copyBytes(Buffer.from('short'), 0xffff_ffff),
      (attacker) => attacker.copyBytes(Buffer.from('short'), 100),
      (attacker) => attacker.copyPacked(Buffer.from('not packed')),
      (attacker) => attacker.copyBytes(Buffer.alloc(0)),
      (attacker) => attacker.copy(''),
    ];
    for (const attack of attacks) {
      const attacker = await opened(t, sandbox);
      attack(attacker);
      // QEMU sends some of them away.
      await attacker.until(() => attacker.asked > 0).catch(() => {});
    }
    viewer.copy('after the bomb');
    await untilPasted(sandbox, 'after the bomb');

    // Too large for QEMU, which sends its viewer away.
    const other = await opened(t, sandbox);
    other.copyPlain(Buffer.alloc(0), 0x7fff_ffff);
    await assert.rejects(other.until(() => false));
    viewer.copyBytes(Buffer.from('up to here\0and no more\0'));
    await untilPasted(sandbox, 'up to here');
    viewer.copyBytes(Buffer.from([0x61, 0xff, 0xfe, 0x1b, 0x5b, 0x41, 0]));
    await untilPasted(sandbox, 'a\u00ff\u00fe\u001b[A');
    // QEMU hands on the empty texts of other viewers. Nothing comes from inside.
    assert.deepEqual([warnings, viewer.texts.filter((text) => text !== '')], [[], []]);
  });

  it('bears root inside, which replaces what reads and writes it', async (t) => {
    const options = { clipboard: 'both', privileged: true, identity: undefined } as const;
    const { sandbox, viewer } = await startedWithViewer(t, embedded.uri, options);
    const replace = async (program: string) => {
      const script = 'cat >/tmp/xclip; chmod +x /tmp/xclip; mount --bind /tmp/xclip /usr/bin/xclip';
      await sandbox.run(script, { input: `#!/bin/sh\n${program}\n`, reject: true });
    };
    const before = process.memoryUsage().rss;
    // It neither reads nor ends, and says more than anybody wants to know.
    await replace('exec yes');
    for (const text of ['one', 'two', 'three']) {
      viewer.copy(text);
      const begun = performance.now();
      while ((await count(sandbox, '^yes')) === 0 && performance.now() - begun < 90_000);
    }
    assert.ok((await count(sandbox, '^yes')) <= 4);
    assert.ok((await sandbox.screen.screenshot()).length > 1000);
    assert.ok(process.memoryUsage().rss - before < MOST_GROWTH);
    assert.deepEqual(viewer.texts, []);
    await sandbox.run('umount /usr/bin/xclip; pkill -9 yes', { reject: true });
    viewer.copy('at last');
    await untilPasted(sandbox, 'at last');
  });
});
