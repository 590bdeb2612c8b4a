/** Why a snapshot could not be restored: only what a new one would mend is blamed on it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Snapshot } from '../../../../src/image/snapshot/record.js';
import { domainError } from '../../../../src/libvirt/errors.js';
import { MonitorError } from '../../../../src/libvirt/monitor.js';
import { isExhausted, isRestoreError, reasonToBoot, restoreError } from '../../../../src/sandbox/snapshot/restore.js';
import { SandboxError } from '../../../../src/util/errors.js';

const SNAPSHOT = { directory: '/store/image/warm/one' } as Snapshot;

const systemError = (code: string) => Object.assign(new Error(`${code}: it failed, open 'a file'`), { code });

/** As the launch sees it: once from where the state is loaded, or from elsewhere in the start. */
function reported(error: unknown, whileLoading: boolean): SandboxError {
  const found = reasonToBoot(SNAPSHOT, whileLoading ? restoreError(SNAPSHOT, error) : error);
  assert.ok(found instanceof SandboxError);
  return found;
}

const SHORTAGES: readonly (readonly [code: string, remedy: RegExp])[] = [
  ['ENOSPC', /free some space/],
  ['EDQUOT', /free some space/],
  ['EMFILE', /ulimit -n/],
  ['ENFILE', /ulimit -n/],
  ['ENOMEM', /free some memory .*--memory/],
];

describe('a host that lacks what every start needs', () => {
  for (const [code, remedy] of SHORTAGES) {
    for (const whileLoading of [true, false]) {
      it(`${code} ${whileLoading ? 'while the state is loaded' : 'before'}`, () => {
        const wrapped = new Error("QEMU's memory cannot be written", { cause: systemError(code) });
        for (const error of [systemError(code), wrapped]) {
          const { line } = reported(error, whileLoading);
          assert.match(line, remedy);
          assert.doesNotMatch(line, /bake/);
        }
      });
    }

    it(`${code}, already reported, is passed through as it is`, () => {
      const details = { stage: 'domain', code: 'state-not-writable-either', message: 'it is full' } as const;
      const error = new SandboxError({ ...details, remedy: 'make room', cause: systemError(code) });
      assert.equal(reasonToBoot(SNAPSHOT, error), error);
    });
  }

  const SAID: readonly (readonly [text: string, code: string])[] = [
    ["Failed to write to pid file '/run/x/driver.pid': No space left on device", 'disk-full'],
    ['root-view: cannot make /run/x/root: No space left on device', 'disk-full'],
    ["internal error: unable to start virtiofsd: '/run/x': Too many open files", 'too-few-files'],
    ['internal error: process exited while connecting to monitor: cannot set up guest memory', 'no-memory'],
  ];
  for (const [text, code] of SAID) {
    it(`libvirt says: ${text}`, () => {
      const error = reported(domainError('box', text), false);
      assert.equal(error.code, code);
      assert.equal(isRestoreError(error), false);
      assert.doesNotMatch(error.line, /bake/);
    });
  }

  it('may still boot: that takes less of it', () => {
    const error = reported(systemError('ENOSPC'), true);
    assert.ok(isRestoreError(error) && isExhausted(error));
  });
});

describe('a QEMU that ends while it loads the state', () => {
  const silent = [
    new MonitorError('QEMU has ended'),
    new MonitorError("QEMU's monitor broke: read ECONNRESET"),
    domainError('box', "internal error: QEMU unexpectedly closed the monitor (vm='box')"),
    domainError('box', 'internal error: process exited while connecting to monitor'),
  ];
  for (const error of silent) {
    it(`and says nothing (${error.message}): it may have been killed`, () => {
      const found = reported(error, false);
      assert.match(found.remedy, /^see if the host killed QEMU for lack of memory \(dmesg\).* bake it again/);
      // A cold boot may do.
      assert.ok(isRestoreError(found));
    });
  }

  it('and says why: the snapshot is to blame', () => {
    const text = 'QEMU unexpectedly closed the monitor: qemu-system-x86_64: error while loading state';
    assert.match(reported(domainError('box', text), false).remedy, /^bake it again/);
    assert.match(reported(new MonitorError('QEMU says that it failed'), true).remedy, /^bake it again/);
  });
});
