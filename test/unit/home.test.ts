import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { homeDirectory } from '../../src/home.js';

function setHome(t: TestContext, value: string): void {
  const before = process.env['HOME'];
  t.after(() => {
    process.env['HOME'] = before;
  });
  process.env['HOME'] = value;
}

test('HOME is the home directory', (t) => {
  setHome(t, join('/srv', 'somebody'));
  assert.equal(homeDirectory(), '/srv/somebody');
});

for (const value of ['', 'relative/path']) {
  test(`HOME=${JSON.stringify(value)} is passed over for the user database`, (t) => {
    setHome(t, value);
    const { homedir } = userInfo();
    assert.match(homedir, /^\//);
    assert.equal(homeDirectory(), homedir);
  });
}
