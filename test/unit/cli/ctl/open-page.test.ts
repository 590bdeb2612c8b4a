/** How the browser of the user is opened: with a program xdg-open that says what it gets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { PageOpener } from '../../../../src/cli/ctl/open-page.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const URL = 'http://127.0.0.1:1234/tokentokentoken/';

it('a browser is led to the page by a file that only the user can read', async (t) => {
  const directory = scratchDirectory(t);
  const { PATH, XDG_RUNTIME_DIR } = process.env;
  t.after(() => {
    process.env['PATH'] = PATH;
    if (XDG_RUNTIME_DIR === undefined) delete process.env['XDG_RUNTIME_DIR'];
    else process.env['XDG_RUNTIME_DIR'] = XDG_RUNTIME_DIR;
  });
  process.env['PATH'] = `${directory}:${PATH}`;
  process.env['XDG_RUNTIME_DIR'] = directory;
  const script = `#!/bin/sh\nprintf '%s\\n' "$*" >${directory}/said.new; mv ${directory}/said.new ${directory}/said; exit 3\n`;
  writeFileSync(join(directory, 'xdg-open'), script, { mode: 0o755 });
  const opener = new PageOpener();
  const watcher = watch(directory);
  t.after(() => watcher.close());
  const failed = new Promise<string>((resolve) => opener.open(URL, resolve));
  while (!existsSync(join(directory, 'said'))) await once(watcher, 'change');
  const file = readFileSync(join(directory, 'said'), 'utf8').trim();
  assert.doesNotMatch(file, /token/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(join(file, '..')).mode & 0o777, 0o700);
  assert.ok(readFileSync(file, 'utf8').includes(`content="0;url=${URL}"`));
  assert.match(await failed, /status 3/);
  opener.remove();
  assert.deepEqual(readdirSync(directory).sort(), ['said', 'xdg-open']);
});
