/** The variables of `virt-sandbox-ctl exec`. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseCtlArguments } from '../../../../src/cli/ctl/arguments.js';
import { environmentOf } from '../../../../src/cli/ctl/environment.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { refuses } from '../../config/support.js';

function variables(...options: readonly string[]): Readonly<Record<string, string>> {
  const request = parseCtlArguments(['exec', ...options, 'box', 'x']);
  assert.ok('command' in request);
  return environmentOf(request.args);
}

test('values come from the command line, from the caller and from files', (t) => {
  const file = join(scratchDirectory(t), 'env');
  writeFileSync(file, '# a comment\n\nA=file\r\nB=x=y z\n  # another\nCTL_TEST_INHERITED\nCTL_TEST_UNSET\nC=\n');
  process.env['CTL_TEST_INHERITED'] = 'of the caller';
  t.after(() => delete process.env['CTL_TEST_INHERITED']);
  assert.deepEqual(variables('-e', 'A=line', '--env-file', file, '-e', 'CTL_TEST_INHERITED', '--env', '__proto__=p'), {
    A: 'line',
    B: 'x=y z',
    C: '',
    CTL_TEST_INHERITED: 'of the caller',
    ['__proto__']: 'p',
  });
});

test('a file that is not UTF-8 is refused', async (t) => {
  const file = join(scratchDirectory(t), 'env');
  writeFileSync(file, Buffer.from('A=ok\nNAME=Mu\xf1oz\n', 'latin1'));
  await refuses(() => variables('--env-file', file), 'arguments', 'env-file-not-utf8', file);
});

test('what is missing is an error', async () => {
  await refuses(() => variables('-e', 'CTL_TEST_UNSET'), 'arguments', 'env-value-missing', 'CTL_TEST_UNSET');
  await refuses(() => variables('-e', '=x'), 'arguments', 'env-key-missing');
  await refuses(() => variables('--env-file', '/no/such'), 'arguments', 'env-file-unreadable', '/no/such');
});
