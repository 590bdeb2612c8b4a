/** What is said of a measured program that fails. */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { runProcess } from '../../../../src/bench/run/process.js';
import { fallbackSentence } from '../../../../src/domain/acceleration.js';

test('the failure of a program has its reason, and not that the machine is emulated', async (context) => {
  const stdout = openSync('/dev/null', 'w');
  context.after(() => closeSync(stdout));
  const lines = [`virt-sandbox: ${fallbackSentence('a (reason)')}`, 'virt-sandbox: image: broken; mend it'];
  const argv = ['sh', '-c', 'printf "%s\\n" "$@" >&2; exit 125', 'sh', ...lines] as const;
  await assert.rejects(runProcess({ label: 'one', argv }, { stdout }), {
    message: 'one ended with status 125:\nvirt-sandbox: image: broken; mend it',
  });
});
