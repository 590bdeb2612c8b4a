/** The limit of open files that a sandbox needs. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { requireOpenFiles } from '../../../../src/sandbox/prepare/open-files.js';
import { SandboxError } from '../../../../src/util/errors.js';

const limits = (soft: string) => () =>
  `Limit                     Soft Limit           Hard Limit           Units\n` +
  `Max processes             5                    5                    processes\n` +
  `Max open files            ${soft.padEnd(20)} 1048576              files\n`;

it('a limit below 64 is refused, and names itself and the remedy', () => {
  for (const soft of ['28', '63']) {
    assert.throws(
      () => requireOpenFiles(limits(soft)),
      (error) =>
        error instanceof SandboxError &&
        error.exitCode === 125 &&
        error.line.includes(`may have ${soft} files open`) &&
        error.line.includes('ulimit -n'),
    );
  }
});

it('other limits are not, nor one that is not known', () => {
  for (const soft of ['64', '20000', 'unlimited']) requireOpenFiles(limits(soft));
  requireOpenFiles(() => '');
  requireOpenFiles(() => {
    throw Object.assign(new Error('there is no /proc'), { code: 'ENOENT' });
  });
});

it('that the limit is reached while it is read is the same', () => {
  const read = () => {
    throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
  };
  assert.throws(() => requireOpenFiles(read), /has all files open that it may have/);
});
