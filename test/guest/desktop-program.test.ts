/** A desktop program as an agent uses it: opened, typed into, clicked at, saved from, and looked at. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Sandbox } from '../../src/index.js';
import { ACCELERATION } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { partOf, unlessDesktop, untilShows, untilWritten } from '../helpers/desktop.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';

const EDITOR = '/usr/bin/mousepad';
const FILE = '/tmp/note.txt';
const TEXT = 'Dear diary,\nan agent wrote this.';
/** Left of the first letter. */
const BEGINNING = [4, 38] as const;

const NOBODY = { uid: 65_534, gid: 65_534, username: 'nobody', home: '/tmp', groups: [] };

const skip =
  embedded.skip || unlessDesktop() || (existsSync(EDITOR) ? false : `${EDITOR} is missing (scripts/setup test)`);

describe('a desktop program', { skip }, () => {
  it('is typed into, saved from by its keys, and clicked at', async (t) => {
    const sandbox = await Sandbox.start(
      {
        ...{ command: [EDITOR, FILE], acceleration: ACCELERATION, name: uniqueName(), identity: NOBODY },
        graphics: 'none,size=800x500',
        // It keeps its settings nowhere, and says nothing of that.
        environment: { GSETTINGS_BACKEND: 'memory' },
      },
      { connect: embedded.uri },
    );
    t.after(() => sandbox.stop());
    const { screen } = sandbox;
    const empty = await untilShows(screen, '#ffffff', 0.8);
    await screen.type(TEXT);
    await screen.key('ctrl+s');
    assert.equal(await untilWritten(sandbox, FILE, (written) => written.startsWith(TEXT)), TEXT);
    const written = partOf(await screen.screenshot(), '#ffffff');
    assert.ok(written < partOf(empty, '#ffffff'), 'what was typed is seen');

    // Where it is clicked, the text goes on.
    await screen.click(...BEGINNING);
    await screen.type('My ');
    await screen.key('ctrl+s');
    await untilWritten(sandbox, FILE, (content) => content === `My ${TEXT}`);

    await sandbox.stop();
    await assertNothingLeft(sandbox.name, exceptLogs(embedded.where));
  });
});
