/** Desktop programs as an agent uses them: opened, typed into, clicked at, saved from, and looked at. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Sandbox } from '../../src/index.js';
import { ACCELERATION } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { partOf, unlessDesktop, untilShows, untilWritten } from '../helpers/desktop.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';

const FILE = '/tmp/note.txt';
const TEXT = 'Dear diary,\nan agent wrote this.';

/** One of GTK and one of Qt, and the place left of the first letter. */
const EDITORS = [
  ['mousepad', [4, 38]],
  ['featherpad', [4, 100]],
] as const;

const BROWSER = 'netsurf-gtk';
/** A page of which the first line is a link, and the one where it leads. */
const PAGES = [
  `printf '<body bgcolor="#123456"><a href="two.html"><h1>Onwards</h1></a>' >/tmp/one.html`,
  `printf '<body bgcolor="#654321">' >/tmp/two.html`,
  `exec ${BROWSER} file:///tmp/one.html`,
].join('\n');

const NOBODY = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/tmp', groups: [] };

const missing = [...EDITORS.map(([name]) => name), BROWSER].filter((name) => !existsSync(`/usr/bin/${name}`));
const skip =
  embedded.skip ||
  unlessDesktop() ||
  (missing.length === 0 ? false : `${missing.join(' and ')} is missing (scripts/setup test)`);

const start = (script: string) =>
  Sandbox.start(
    {
      ...{ command: ['sh', '-c', script], acceleration: ACCELERATION, name: uniqueName(), identity: NOBODY },
      graphics: 'none,size=800x500',
      // GTK keeps its settings nowhere, and says nothing of that.
      environment: { GSETTINGS_BACKEND: 'memory' },
    },
    { connect: embedded.uri },
  );

describe('a desktop program', { skip }, () => {
  for (const [editor, [x, y]] of EDITORS)
    it(`is typed into, saved from by its keys, and clicked at: ${editor}`, async (t) => {
      // A file that is not there is something that an editor may say, and cover the text with.
      const sandbox = await start(`touch ${FILE}; exec ${editor} ${FILE}`);
      t.after(() => sandbox.stop());
      const { screen } = sandbox;
      const empty = await untilShows(screen, '#ffffff', 0.65);
      await screen.type(TEXT);
      await screen.key('ctrl+s');
      // Some end the last line.
      assert.equal((await untilWritten(sandbox, FILE, (written) => written.startsWith(TEXT))).trimEnd(), TEXT);
      const written = partOf(await screen.screenshot(), '#ffffff');
      assert.ok(written < partOf(empty, '#ffffff'), 'what was typed is seen');

      // Where it is clicked, the text goes on.
      await screen.click(x, y);
      await screen.type('My ');
      await screen.key('ctrl+s');
      await untilWritten(sandbox, FILE, (content) => content.trimEnd() === `My ${TEXT}`);

      await sandbox.stop();
      await assertNothingLeft(sandbox.name, exceptLogs(embedded.where));
    });

  it(`shows pages, and goes where it is clicked: ${BROWSER}`, async (t) => {
    const sandbox = await start(PAGES);
    t.after(() => sandbox.stop());
    const { screen } = sandbox;
    await untilShows(screen, '#123456', 0.6);
    await screen.click(40, 80);
    await untilShows(screen, '#654321', 0.6);
    await sandbox.stop();
    await assertNothingLeft(sandbox.name, exceptLogs(embedded.where));
  });
});
