/** Names and numbers of signals. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { signalNumber } from '../../../src/util/signal-number.js';

test('a signal has a number, whatever people call it', () => {
  for (const text of ['TERM', 'SIGTERM', 'term', 'sigterm', '15']) assert.equal(signalNumber(text), 15);
  assert.equal(signalNumber('SIGRTMIN'), 34);
  assert.equal(signalNumber('rtmax'), 64);
  for (const text of ['0', '65', 'NOPE', 'SIGSIGTERM', 'RTMIN+31', 'RTMAX-31', '', '-1', '1.5', 'constructor'])
    assert.equal(signalNumber(text), undefined, text);
});

test('those of real time have the numbers that bash gives them', () => {
  for (const text of ['RTMIN+3', 'RTMIN+15', 'RTMAX-14', 'RTMAX-1'])
    assert.equal(signalNumber(text), Number(execFileSync('bash', ['-c', `kill -l ${text}`])), text);
});
