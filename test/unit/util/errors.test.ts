/** Remedies of errors, whatever their cause. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SandboxError } from '../../../src/util/errors.js';

test('the remedy for too many open files is not about the file', () => {
  const remedyOf = (code: string) => {
    const cause = Object.assign(new Error(`${code}: open`), { code });
    return new SandboxError({ stage: 'config', code: 'a', message: 'b', remedy: 'make it readable', cause }).remedy;
  };
  for (const code of ['EMFILE', 'ENFILE']) assert.match(remedyOf(code), /ulimit -n/);
  for (const code of ['EACCES', 'ENOENT']) assert.equal(remedyOf(code), 'make it readable');
});
