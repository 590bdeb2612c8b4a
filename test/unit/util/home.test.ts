/** The home directory and the XDG base directories. */

import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { historyFile } from '../../../src/bench/result/history.js';
import { ownProfiles } from '../../../src/profile/load.js';
import { baseDirectory, homeDirectory } from '../../../src/util/home.js';

function setVariable(t: TestContext, name: string, value: string | undefined): void {
  const before = process.env[name];
  const set = (to: string | undefined) => {
    if (to === undefined) delete process.env[name];
    else process.env[name] = to;
  };
  t.after(() => set(before));
  set(value);
}

test('HOME is the home directory', (t) => {
  setVariable(t, 'HOME', join('/srv', 'somebody'));
  assert.equal(homeDirectory('XDG_CACHE_HOME'), '/srv/somebody');
});

for (const value of ['', 'relative/path']) {
  test(`HOME=${JSON.stringify(value)} is ignored, and the user database is used`, (t) => {
    setVariable(t, 'HOME', value);
    const { homedir } = userInfo();
    assert.match(homedir, /^\//);
    assert.equal(homeDirectory('XDG_CACHE_HOME'), homedir);
  });
}

test('profiles and the history of measurements are below the same home', (t) => {
  setVariable(t, 'HOME', '');
  for (const name of ['XDG_CONFIG_HOME', 'XDG_DATA_HOME']) setVariable(t, name, undefined);
  const { homedir } = userInfo();
  assert.equal(ownProfiles(), join(homedir, '.config/libvirt-sandbox/profiles'));
  assert.equal(historyFile(), join(homedir, '.local/share/libvirt-sandbox/bench.jsonl'));
});

test('an XDG variable counts if it is an absolute path', () => {
  assert.equal(baseDirectory('XDG_CACHE_HOME', { XDG_CACHE_HOME: '/srv/cache' }), '/srv/cache');
  for (const value of [undefined, '', 'relative/path']) {
    assert.equal(
      baseDirectory('XDG_DATA_HOME', { XDG_DATA_HOME: value }),
      join(homeDirectory('XDG_DATA_HOME'), '.local/share'),
    );
  }
});
