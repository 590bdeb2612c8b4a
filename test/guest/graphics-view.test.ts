/** `--view`: real viewers on a real display. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connectSandbox } from '../../src/index.js';
import { ACCEL } from '../helpers/acceleration.js';
import { copyInside, pasteInside, unlessClipboard, untilPasted } from '../helpers/clipboard.js';
import { embedded } from '../helpers/connections.js';
import { BLUE, terminal, unlessDesktop, untilWritten } from '../helpers/desktop.js';
import { Display, unlessViewers } from '../helpers/display.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { ClipboardViewer } from '../helpers/rfb-clipboard.js';
import { assertFailure, runSandbox, startSandbox } from '../helpers/run.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

const SCRIPT = 'read -r line; printf %s "$line" >/tmp/typed; while :; do sleep 1000; done';
/** Of a busy host, in milliseconds. */
const PATIENCE_MS = 90_000;

/** The viewers of a sandbox that run. */
function viewersOf(name: string): number[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const words = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0') : [];
      return /viewer$/.test(words[0] ?? '') && words.some((word) => word.includes(`/${name}/`)) ? [Number(pid)] : [];
    } catch {
      // It has ended.
      return [];
    }
  });
}

async function until(is: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; !is(); await delay(50)) assert.ok(Date.now() < deadline, what);
}

describe('--view', { skip: embedded.skip || unlessDesktop() || unlessViewers() }, () => {
  const { env, remove } = privateStore();
  let display: Display;
  before(async () => {
    display = await Display.open();
    await bakeSnapshot(['-c', embedded.uri], { env }, ['--graphics']);
  });
  after(async () => {
    await display.close();
    remove();
  });
  const words = (name: string, view: string, graphics: string) => {
    return ['-c', embedded.uri, ...ACCEL, '-n', name, '-S', 'nobody', graphics, view, '--', ...terminal(SCRIPT)];
  };
  const start = (
    t: TestContext,
    view: string,
    variables: Readonly<Record<string, string>>,
    graphics = '--graphics',
    ...more: string[]
  ) => {
    const name = uniqueName();
    const running = startSandbox([...more, ...words(name, view, graphics)], { env: { ...env, ...variables } });
    t.after(() => running.child.kill('SIGTERM'));
    return { name, running };
  };

  for (const [graphics, viewer, part] of [
    ['--graphics', 'xtigervncviewer', 0.5],
    ['--graphics', 'gvncviewer', 0.5],
    // As large as the terminal, since keys go to the window under the pointer.
    ['--graphics=xvnc,size=480x320', 'xtigervncviewer', 0.08],
    ['--graphics=xvnc,size=480x320', 'gvncviewer', 0.08],
  ] as const)
    it(`shows the screen of ${graphics} in ${viewer}, which types into it and ends with the sandbox`, async (t) => {
      const { name, running } = start(t, `--view=${viewer}`, { DISPLAY: display.name }, graphics);
      await display.untilShows(BLUE, part, () => assert.equal(running.child.exitCode, null, running.stderr()));
      const [pid = assert.fail(), ...more] = viewersOf(name);
      assert.deepEqual(more, []);
      assert.match(readFileSync(`/proc/${pid}/comm`, 'utf8'), new RegExp(`^${viewer.slice(0, 15)}`));
      // Ctrl+C at the terminal goes to a group that it is not in.
      const [, group] = /\) \S \d+ (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
      assert.equal(Number(group), pid);
      display.type(name, 'hello there');
      await using sandbox = await connectSandbox(name);
      await untilWritten(sandbox, '/tmp/typed', (typed) => typed === 'hello there');
      await sandbox.stop();
      await running.result;
      assert.equal(running.stderr(), '');
      await until(() => viewersOf(name).length === 0, 'the viewer is left');
      await assertNothingLeft(name, embedded.where);
    });

  for (const way of ['none', 'host-to-guest', 'both'])
    it(`takes part in the clipboard as far as --clipboard ${way} says`, { skip: unlessClipboard() }, async (t) => {
      const variables = { DISPLAY: display.name };
      const { name, running } = start(t, '--view=xtigervncviewer', variables, '--graphics', '--clipboard', way);
      await display.untilShows(BLUE, 0.5, () => assert.equal(running.child.exitCode, null, running.stderr()));
      await using sandbox = await connectSandbox(name);
      const { vncSocket = assert.fail() } = sandbox.screen;
      const other = await ClipboardViewer.open(vncSocket);
      t.after(() => other.close());
      display.copy(`of the display, ${way}`);
      display.focus(name);
      if (way === 'none') {
        // What it sends comes in order: the text would have, before the key.
        display.type(name, 'hello');
        await untilWritten(sandbox, '/tmp/typed', (typed) => typed === 'hello');
      } else await untilPasted(sandbox, `of the display, ${way}`);
      assert.equal(other.notified > 0, way !== 'none');

      await copyInside(sandbox, 'of the guest');
      if (way === 'both') await until(() => display.paste() === 'of the guest', 'it is not pasted');
      other.copy('of another viewer');
      if (way === 'none') assert.equal(await pasteInside(sandbox), 'of the guest');
      else await untilPasted(sandbox, 'of another viewer');
      if (way === 'both') await until(() => display.paste() === 'of another viewer', 'it is not pasted');
      else {
        // In the time in which it would have been there by far.
        await delay(2000);
        assert.equal(display.paste(), `of the display, ${way}`);
      }
      await sandbox.stop();
      await running.result;
      assert.equal(running.stderr(), '');
    });

  it('leaves the sandbox running when its viewer is closed, and no viewer when the launcher is killed', async (t) => {
    const first = start(t, '--view', { DISPLAY: display.name });
    await until(() => display.windows(first.name).length > 0, 'there is no window');
    execFileSync('xdotool', ['search', '--onlyvisible', '--name', first.name, 'windowclose'], {
      env: { ...process.env, DISPLAY: display.name },
    });
    await until(() => display.windows(first.name).length === 0, 'the window is there');
    await using sandbox = await connectSandbox(first.name);
    assert.equal((await sandbox.run('true')).exitCode, 0);

    const second = start(t, '--view=xtigervncviewer', { DISPLAY: display.name });
    await until(() => viewersOf(second.name).length > 0, 'there is no viewer');
    second.running.child.kill('SIGKILL');
    await second.running.result;
    await until(() => viewersOf(second.name).length === 0, 'the viewer is left');
    await assertNothingLeft(second.name, embedded.where);
  });

  it('says what a viewer says that fails, tries the next, and says at last what to run', async (t) => {
    const { name, running } = start(t, '--view', { DISPLAY: ':4999' });
    const last = /nothing shows the screen; see it in a browser \(virt-sandbox-ctl view (\S+)\), or run (.*)\n/;
    await until(() => last.test(running.stderr()), 'nothing is said');
    const stderr = running.stderr();
    assert.match(
      stderr,
      /warning: xtigervncviewer has ended \(exit status 1\); it said last: .*Can't open display: :4999/,
    );
    assert.match(stderr, /warning: gvncviewer has ended \(exit status 1\); it said last: Cannot open display/);
    const [, called, command] = last.exec(stderr) ?? [];
    assert.equal(called, name);
    assert.equal(command, `xtigervncviewer /run/libvirt-sandbox/${name}/vnc`);
    await using sandbox = await connectSandbox(name);
    assert.equal((await sandbox.run('true')).exitCode, 0);
  });

  it('starts none without a display, or where none is installed, and the command runs', async (t) => {
    const run = (variables: Readonly<Record<string, string>>) => {
      const all = ['-c', embedded.uri, ...ACCEL, '--graphics=vnc,compositor=none', '--view', '--', 'echo', 'out'];
      return runSandbox(all, { env: { ...env, ...variables } });
    };
    const blind = await run({ DISPLAY: '', WAYLAND_DISPLAY: '' });
    assert.deepEqual([blind.code, blind.out], [0, 'out\n']);
    assert.match(blind.stderr, /no DISPLAY is set, so no viewer can show the screen; .*or run xtigervncviewer \//);

    // What says nothing of its end, as one that is closed, is no failure; and it writes into no stream of the command.
    const directory = mkdtempSync('/var/tmp/virt-sandbox-test-');
    t.after(() => rmSync(directory, { recursive: true }));
    for (const [name, script] of [['xtigervncviewer', 'echo noise; echo noise >&2']] as const) {
      writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(directory, name), 0o755);
    }
    const quiet = await run({ DISPLAY: ':4999', PATH: `${directory}:${process.env['PATH']}` });
    assert.deepEqual([quiet.code, quiet.out, quiet.stderr], [0, 'out\n', '']);
  });

  it('is refused without a screen that viewers see, for a program that it does not know, and in the background', async () => {
    const run = (...all: readonly string[]) => runSandbox(['-c', embedded.uri, ...all, '--', 'true'], { env });
    assertFailure(await run('--view'), /--view goes with --graphics/);
    assertFailure(await run('--graphics=none', '--view'), /--view goes with --graphics/);
    assertFailure(await run('--graphics', '--view=sh'), /--view cannot be "sh": write xtigervncviewer or gvncviewer/);
    assertFailure(await run('--graphics', '--view', '--detach'), /cannot go with --detach.*virt-sandbox-ctl view/);
  });
});
