/** The kernel's log, shortened in the guest before it is sent; tested with this machine's awk. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { SHORTEN_LOG } from '../../../../src/sandbox/setup/inspect-guest.js';

/** A log of `calls` initcalls in a row, each of which takes `microseconds`. */
function logOf(calls: number, microseconds: (index: number) => number): string {
  let now = 1;
  const at = () => `[    ${now.toFixed(6)}]`;
  const lines = [`${at()} Linux version 6.12`];
  for (let index = 0; index < calls; index += 1) {
    lines.push(`${at()} calling  call_${index}+0x0/0x10 @ 1`);
    now += microseconds(index) / 1e6;
    lines.push(`${at()} initcall call_${index}+0x0/0x10 returned 0 after ${microseconds(index)} usecs`);
  }
  return `${[...lines, `${at()} Run /init as init process`].join('\n')}\n`;
}

const shorten = (log: string) => execFileSync('awk', [SHORTEN_LOG], { input: log, encoding: 'utf8' }).split('\n');

test('calls without a duration are left out, and the others get their duration by the clock of the log', () => {
  const lines = shorten(logOf(3, (index) => (index === 1 ? 5000 : 50)));
  assert.deepEqual(lines, [
    '[    1.000000] Linux version 6.12',
    '[    1.005050] initcall call_1+0x0/0x10 returned 0 after 5000 usecs @@0.005000',
    '[    1.005100] Run /init as init process',
    '',
  ]);
});

// The guest returns the last 64 KiB of a helper's output. On a busy host that began in the middle of the log, without
// the clock.
test("a busy machine's log drops its shortest calls until it fits", () => {
  const lines = shorten(logOf(3000, (index) => (index % 100 === 0 ? 20_000 : 1000)));
  assert.ok(lines.join('\n').length <= 60_000);
  assert.match(lines[0] ?? '', /Linux version/);
  assert.match(lines.at(-2) ?? '', /Run \/init/);
  assert.equal(lines.filter((line) => line.includes('@@0.020000')).length, 30);
});
