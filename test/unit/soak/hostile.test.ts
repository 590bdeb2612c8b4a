/** What a launcher may do when a machine attacks it, and what counts as a finding. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type End, judge } from '../../soak/hostile.js';

const LINE = 'virt-sandbox: boot: the guest ended; see the console\n';
const RIGHT: End = {
  attack: 'huge',
  ...{ isTold: false, attacks: true, code: 125, signal: 'null', said: LINE, out: '', grown: 0 },
};

for (const [what, end] of [
  ['a failure with its line', {}],
  ["the application's status", { code: 7, said: '' }],
  ['the status of SIGTERM, where it was sent', { code: 143, said: '', isTold: true }],
  ['the first of two EXITs', { attack: 'exit-twice', code: 3, said: '' }],
  ['an EXIT by chance', { attack: 'mixture', code: 139, said: '' }],
  ["the application's output", { attack: 'endless', code: 7, out: '\u001b' }],
] as const) {
  test(`${what} is right`, () => assert.deepEqual(judge({ ...RIGHT, ...end }), []));
}

for (const [what, end, found] of [
  ['an attack that never began', { attacks: false }, /^nothing was attacked/],
  ['the end of a launcher by a signal', { code: null, signal: 'SIGSEGV' }, /^the launcher died: SIGSEGV/],
  ['a status that nobody has', { code: 1, said: '' }, /^status 1;/],
  ['the status of SIGTERM without one', { code: 143, said: '' }, /^status 143;/],
  [
    'an exception that nobody caught',
    { attack: 'mixture', code: 1, said: 'TypeError: x\n    at f (/a.js:1:2)\n\nNode.js v20.20.2\n' },
    /^nobody caught an exception/,
  ],
  ['a failure without a line', { said: '' }, /^125 without a line/],
  ['output of an application that has none', { code: 7, out: 'x' }, /^it wrote to stdout/],
  ['control characters', { said: `${LINE}\u001b[2J` }, /^control characters/],
  ['memory', { grown: (64 << 10) + 1 }, /^the launcher grew/],
] as const) {
  test(`${what} is found`, () => {
    const findings = judge({ ...RIGHT, ...end });
    assert.equal(findings.length, 1, findings.join());
    assert.match(findings[0] ?? '', found);
  });
}
