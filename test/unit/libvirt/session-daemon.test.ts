/** The daemon of a session, which the launcher starts: what it gets, and that root has none. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDaemon } from '../../../src/libvirt/open-daemon.js';
import { startSessionDaemon } from '../../../src/libvirt/session-daemon.js';
import { rejectsWith } from '../../helpers/errors.js';
import { scratchDirectory, unlessRoot } from '../../helpers/scratch.js';

/** Puts a daemon first in PATH that writes down its arguments and environment, and ends with 3. */
function fakeDaemon(t: TestContext): string {
  const directory = scratchDirectory(t);
  const seen = join(directory, 'seen');
  const script = `#!/bin/sh\n{ echo "$@"; env; } >${seen}.new; mv ${seen}.new ${seen}; exit 3\n`;
  writeFileSync(join(directory, 'virtqemud'), script, { mode: 0o755 });
  change(t, 'PATH', `${directory}:${process.env['PATH']}`);
  return seen;
}

function change(t: TestContext, name: string, value: string): void {
  const before = process.env[name];
  process.env[name] = value;
  t.after(() => {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  });
}

it('it gets what it needs of the environment, and no more', async (t) => {
  const seen = fakeDaemon(t);
  change(t, 'LANG', 'de_DE.UTF-8');
  change(t, 'A_SECRET_OF_MINE', 'yes');
  change(t, 'XDG_RUNTIME_DIR', '/nowhere');
  const started = startSessionDaemon();
  while (!existsSync(seen) || started?.end() === undefined) await sleep(5);
  const [words, ...lines] = readFileSync(seen, 'utf8').trimEnd().split('\n');
  assert.equal(words, '--timeout=120');
  for (const line of ['LC_ALL=C.UTF-8', 'XDG_RUNTIME_DIR=/nowhere', `HOME=${process.env['HOME']}`])
    assert.ok(lines.includes(line), line);
  assert.deepEqual(
    lines.filter((line) => /^(?:LANG|A_SECRET_OF_MINE|NODE_|VIRT_)/.test(line)),
    [],
  );
  assert.equal(started?.end(), 'it ended with status 3');
});

it('none is started where LIBVIRT_AUTOSTART forbids it', (t) => {
  fakeDaemon(t);
  change(t, 'LIBVIRT_AUTOSTART', '0');
  assert.equal(startSessionDaemon(), undefined);
});

it('root has no session, and no daemon is started for one', { skip: unlessRoot('it is about root') }, async (t) => {
  const seen = fakeDaemon(t);
  change(t, 'XDG_RUNTIME_DIR', scratchDirectory(t));
  await rejectsWith(openDaemon('session'), 'libvirt-unreachable', /root has no session/);
  await sleep(100);
  assert.ok(!existsSync(seen));
});
