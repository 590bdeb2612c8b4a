import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { endOf, endText, failedEnd, stoppedEarly } from '../../../../src/service/run/end.js';
import { BackOff, startsAgain } from '../../../../src/service/run/restart.js';
import { SandboxError, type Stage } from '../../../../src/util/errors.js';

const exit = (exitCode: number, signal?: NodeJS.Signals) => ({
  code: signal === undefined ? exitCode : undefined,
  signal,
  exitCode,
  timedOut: false,
});
const error = (stage: Stage, exitCode?: number, code = 'x') =>
  failedEnd(
    new SandboxError({ stage, code, message: 'x', remedy: 'y', ...(exitCode === undefined ? {} : { exitCode }) }),
  );

describe('a service that has ended', () => {
  it('waits longer each time, and begins anew after a minute', () => {
    const backOff = new BackOff();
    const waits = Array.from({ length: 8 }, () => backOff.after(10));
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    assert.deepEqual([backOff.after(60_000), backOff.after(59_999)], [1000, 2000]);
  });

  it('is started again as its policy says', () => {
    const ends = {
      well: endOf('ended', exit(0)),
      badly: endOf('ended', exit(1)),
      killed: endOf('ended', exit(137, 'SIGKILL')),
      unhealthy: endOf('unhealthy', exit(0)),
      lost: error('boot'),
      stopped: endOf('stopped', exit(1)),
    };
    const again = (policy: 'no' | 'on-failure' | 'always') =>
      Object.entries(ends)
        .filter(([, end]) => startsAgain(policy, end))
        .map(([name]) => name);
    assert.deepEqual(again('no'), []);
    assert.deepEqual(again('on-failure'), ['badly', 'killed', 'unhealthy', 'lost']);
    assert.deepEqual(again('always'), ['well', 'badly', 'killed', 'unhealthy', 'lost']);
  });

  it('is not started again if somebody has to change it first', () => {
    for (const stage of ['arguments', 'config', 'kernel', 'modules'] as const)
      assert.ok(!startsAgain('always', error(stage)), stage);
    for (const status of [126, 127]) assert.ok(!startsAgain('always', error('application', status)));
    for (const code of ['service-on-system-uri', 'uri-not-supported'])
      assert.ok(!startsAgain('always', error('service', 125, code)), code);
    assert.ok(startsAgain('on-failure', error('libvirt')));
  });

  it('has a status of its own if it was to end', () => {
    assert.equal(endOf('stopped', exit(143, 'SIGTERM'), 15).status, 0);
    assert.equal(endOf('stopped', exit(143), 15).status, 0);
    // The stop signal of its image is another one, and SIGTERM came later.
    assert.equal(endOf('stopped', exit(143, 'SIGTERM'), 10).status, 0);
    assert.equal(endOf('stopped', exit(137, 'SIGKILL'), 15).status, 137);
    assert.equal(endOf('stopped', exit(4), 15).status, 4);
    assert.equal(endOf('ended', exit(143, 'SIGTERM'), 15).status, 143);
    assert.equal(endOf('unhealthy', exit(0)).status, 1);
    assert.equal(error('boot').status, 125);
  });

  it('is told on one line', () => {
    assert.equal(endText(endOf('ended', exit(3))), 'exit status 3');
    assert.equal(endText(endOf('stopped', exit(143, 'SIGTERM'))), 'stopped, ended by SIGTERM');
    assert.equal(endText(stoppedEarly(new Error('x'))), 'stopped while it started');
    assert.equal(endText(failedEnd(new Error('a\nb\u001b'))), 'a\\nb\\u{1b}');
  });
});
