/** How often the KVM probe runs: with a stand-in for QEMU that counts its starts, and any file as the device. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { chooseAcceleration, expectedAcceleration, type ProbeOptions } from '../../../src/domain/acceleration.js';
import { probe } from '../../../src/domain/probe.js';
import { rejectsWith } from '../../helpers/errors.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const BOOTS = 'Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)';
const FAILS = 'KVM internal error. Suberror: 3';

interface Host {
  readonly cache: string;
  readonly emulator: string;
  choose(options?: Partial<ProbeOptions>): Promise<'kvm' | 'tcg'>;
  expect(options?: Partial<Pick<ProbeOptions, 'wanted' | 'device'>>): 'kvm' | 'tcg';
  /** Probes since the last call. */
  probes(): number;
}

/**
 * @param says what QEMU prints
 * @param ends how it ends
 */
function host(context: TestContext, says: string, ends = 'exit 0'): Host {
  const directory = scratchDirectory(context);
  const log = join(directory, 'log');
  const emulator = join(directory, 'qemu-system-x86_64');
  const device = join(directory, 'kvm');
  const cache = join(directory, 'cache');
  writeFileSync(emulator, `#!/bin/sh\necho x >> ${log}\necho '${says}'\n${ends}\n`, { mode: 0o755 });
  writeFileSync(device, '');
  writeFileSync(log, '');
  const { PATH: path = '' } = process.env;
  process.env['PATH'] = `${directory}${delimiter}${path}`;
  context.after(() => {
    process.env['PATH'] = path;
  });
  return {
    cache,
    emulator,
    choose: (options = {}) =>
      chooseAcceleration({
        wanted: 'auto',
        kernel: '/images/1/vmlinux',
        kernelDigest: 'aa',
        device,
        cacheDirectory: cache,
        ...options,
      }),
    expect: (options = {}) => expectedAcceleration({ wanted: 'auto', device, cacheDirectory: cache, ...options }),
    probes() {
      const count = readFileSync(log, 'utf8').length / 2;
      writeFileSync(log, '');
      return count;
    },
  };
}

for (const [says, expected] of [
  [BOOTS, 'kvm'],
  [FAILS, 'tcg'],
] as const) {
  test(`a kernel is probed once, whichever image it is in: ${expected}`, async (context) => {
    const { choose, probes } = host(context, says);
    assert.equal(await choose(), expected);
    assert.equal(probes(), 1);
    assert.equal(await choose(), expected);
    assert.equal(await choose({ kernel: '/images/2/vmlinux' }), expected);
    assert.equal(probes(), 0);
    const other = { kernel: '/images/3/vmlinux', kernelDigest: 'bb' };
    assert.equal(await choose(other), expected);
    assert.equal(probes(), 1);
    for (let turn = 0; turn < 3; turn += 1) {
      assert.equal(await choose(), expected);
      assert.equal(await choose(other), expected);
    }
    assert.equal(probes(), 0);
  });
}

test('KVM is expected once a guest of this QEMU has run under it, and nothing is booted for that', async (context) => {
  const { choose, emulator, expect, probes } = host(context, BOOTS);
  // The device opens, which proves nothing.
  assert.equal(expect(), 'tcg');
  await choose();
  await choose({ kernelDigest: 'bb' });
  probes();
  assert.equal(expect(), 'kvm');
  assert.equal(expect({ device: '/nowhere' }), 'tcg');
  assert.equal(expect({ wanted: 'tcg' }), 'tcg');
  utimesSync(emulator, 1, 1);
  assert.equal(expect(), 'tcg');
  assert.equal(expect({ wanted: 'kvm' }), 'kvm');
  assert.equal(probes(), 0);
});

test('emulation is expected where a kernel did not run under KVM', async (context) => {
  const { choose, expect } = host(context, FAILS);
  await choose();
  assert.equal(expect(), 'tcg');
});

test('another QEMU, another boot of the host and a damaged file need a new probe', async (context) => {
  const { cache, emulator, choose, probes } = host(context, BOOTS);
  const kept = join(cache, 'kvm.json');
  const again = async (why: string): Promise<void> => {
    await choose();
    assert.equal(probes(), 1, why);
    await choose();
    assert.equal(probes(), 0, `${why}, and it is kept`);
  };
  await again('the first time');
  utimesSync(emulator, 1, 1);
  await again('another QEMU');
  const verdicts = JSON.parse(readFileSync(kept, 'utf8')) as { boot: string; verdicts: Record<string, unknown> };
  assert.equal(Object.keys(verdicts.verdicts).length, 2);
  writeFileSync(kept, JSON.stringify({ ...verdicts, boot: 'another' }));
  await again('another boot');
  assert.equal(Object.keys((JSON.parse(readFileSync(kept, 'utf8')) as typeof verdicts).verdicts).length, 1);
  appendFileSync(kept, '}');
  await again('a damaged file');
  for (const text of ['', 'null', '[]', JSON.stringify({ ...verdicts, verdicts: [1] })]) {
    writeFileSync(kept, text);
    await again(`the file is ${text}`);
  }
});

test('the file of verdicts does not grow without end', async (context) => {
  const { cache, choose, probes } = host(context, FAILS);
  mkdirSync(cache, { recursive: true });
  const left = join(cache, '.kvm.json.0123456789abcdef.tmp');
  writeFileSync(left, 'of a process that was killed');
  utimesSync(left, 1, 1);
  for (let i = 0; i < 40; i += 1) await choose({ kernelDigest: `kernel ${i}` });
  assert.equal(probes(), 40);
  const { verdicts } = JSON.parse(readFileSync(join(cache, 'kvm.json'), 'utf8')) as { verdicts: object };
  assert.equal(Object.keys(verdicts).length, 32);
  assert.deepEqual(
    readdirSync(cache).filter((name) => name.includes('kvm.json')),
    ['kvm.json'],
  );
  await choose({ kernelDigest: 'kernel 39' });
  await choose({ kernelDigest: 'kernel 8' });
  assert.equal(probes(), 0);
});

test('a verdict that cannot be saved is found anew each time', async (context) => {
  const { cache, choose, probes } = host(context, BOOTS);
  mkdirSync(join(cache, 'kvm.json'), { recursive: true });
  assert.equal(await choose(), 'kvm');
  assert.equal(await choose(), 'kvm');
  assert.equal(probes(), 2);
});

test('nothing is probed when the answer is known without', async (context) => {
  const { choose, probes } = host(context, BOOTS);
  assert.equal(await choose({ wanted: 'tcg' }), 'tcg');
  const chosen: string[] = [];
  const onFallback = (sentence: string) => void chosen.push(sentence);
  assert.equal(await choose({ device: '/no/such/kvm', onFallback }), 'tcg');
  const closed = '/dev/null/kvm';
  assert.equal(await choose({ device: closed, onFallback }), 'tcg');
  assert.deepEqual(chosen, ['/no/such/kvm is missing', 'this user may not use /dev/null/kvm']);
  assert.equal(probes(), 0);
});

for (const [what, says, ends] of [
  ['was told to end', 'qemu-system-x86_64: terminating on signal 2 from pid 1 (bash)', 'exit 0'],
  ['was killed', '', 'kill -KILL $$'],
  ['got no memory', "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory", 'exit 1'],
  ['found KVM busy', 'qemu-system-x86_64: failed to initialize kvm: Device or resource busy', 'exit 1'],
  ['had no descriptors left', 'ioctl(KVM_CREATE_VM) failed: 24 Too many open files', 'exit 1'],
  ['found no kernel', "qemu: could not open kernel file '/x': No such file or directory", 'exit 1'],
] as const) {
  test(`a QEMU that ${what} gives no lasting verdict`, async (context) => {
    const { cache, choose, probes } = host(context, says, ends);
    const chosen: string[] = [];
    assert.equal(await choose({ onFallback: (sentence) => void chosen.push(sentence) }), 'tcg');
    assert.match(chosen.join(), says === '' ? /QEMU was ended by SIGKILL/ : /qemu|KVM_/);
    assert.equal(await choose(), 'tcg');
    assert.equal(probes(), 2);
    assert.equal(existsSync(join(cache, 'kvm.json')), false);
  });
}

for (const [what, says, ends] of [
  ['gave up', 'kvm_buf_set_msrs: Assertion failed.', 'kill -ABRT $$'],
  ['has no KVM', 'failed to initialize kvm: No such device', 'exit 1'],
  ['ended without a word', '', 'exit 0'],
] as const) {
  test(`a QEMU that ${what} is not probed again`, async (context) => {
    const { choose, probes } = host(context, says, ends);
    assert.equal(await choose(), 'tcg');
    assert.equal(await choose(), 'tcg');
    assert.equal(probes(), 1);
  });
}

test('a QEMU whose guest is paused is not waited for', async (context) => {
  const { choose, probes } = host(context, FAILS, 'exec sleep 60');
  const reasons: string[] = [];
  for (const _ of ['probed', 'kept'])
    assert.equal(await choose({ onFallback: (reason) => void reasons.push(reason) }), 'tcg');
  assert.deepEqual(reasons, [FAILS, FAILS]);
  assert.equal(probes(), 1);
});

test('a QEMU that does nothing is not waited for, and one that works is', async (context) => {
  const { emulator } = host(context, '', 'case $RUN in still) exec sleep 60;; esac; while :; do :; done');
  const tried = async (run: string, limit: number) => {
    process.env['RUN'] = run;
    context.after(() => delete process.env['RUN']);
    return probe({ accelerator: 'kvm', emulator, kernel: '/images/1/vmlinux', limit, still: 1000 });
  };
  const still = await tried('still', 60_000);
  assert.match(still.reason, /^a guest did nothing for 1 s: /);
  assert.equal(still.lasting, true);
  assert.match((await tried('busy', 3000)).reason, /^a guest did not boot within 3 s: /);
});

test('a sandbox with less time to start than a trial of KVM does not wait for one, and keeps no verdict', async (context) => {
  const { choose, probes } = host(context, '', 'while :; do :; done');
  const reasons: string[] = [];
  for (const _ of ['tried', 'tried again'])
    assert.equal(await choose({ bootTimeout: 700, onFallback: (reason) => void reasons.push(reason) }), 'tcg');
  assert.match(reasons.join(), /^(a guest did not boot within 0\.7 s: [^,]+,?){2}$/);
  assert.equal(probes(), 2);
});

test('a QEMU that cannot be started is probed again', async (context) => {
  const { cache, emulator, choose } = host(context, BOOTS);
  writeFileSync(emulator, '#!/no/such/shell\n');
  const chosen: string[] = [];
  assert.equal(await choose({ onFallback: (sentence) => void chosen.push(sentence) }), 'tcg');
  assert.match(chosen.join(), /ENOENT/);
  assert.equal(existsSync(join(cache, 'kvm.json')), false);
});

test('the signals of a terminal do not reach QEMU, and an abort signal ends it', async (context) => {
  const { cache, choose } = host(
    context,
    '',
    'read -r pid name state parent group rest </proc/$$/stat; echo $group >"$0.group"; echo $$ >"$0.pid"; exec sleep 60',
  );
  const emulator = join(cache, '..', 'qemu-system-x86_64');
  const calling = new AbortController();
  const choice = choose({ signal: calling.signal });
  while (!existsSync(`${emulator}.pid`) || readFileSync(`${emulator}.pid`, 'utf8') === '') await setImmediate();
  const pid = readFileSync(`${emulator}.pid`, 'utf8');
  assert.equal(readFileSync(`${emulator}.group`, 'utf8'), pid, 'it has a process group of its own');
  calling.abort();
  assert.equal(await choice, 'tcg');
  assert.throws(() => process.kill(Number(pid), 0), /ESRCH/);
  assert.equal(existsSync(join(cache, 'kvm.json')), false);
});

test('an explicit request for KVM probes again after a failure', async (context) => {
  const { emulator, choose, probes } = host(context, FAILS);
  utimesSync(emulator, 1, 1);
  await choose();
  assert.equal(probes(), 1);
  writeFileSync(emulator, readFileSync(emulator, 'utf8').replace(FAILS, BOOTS));
  utimesSync(emulator, 1, 1);
  assert.equal(await choose(), 'tcg');
  assert.equal(probes(), 0);
  assert.equal(await choose({ wanted: 'kvm' }), 'kvm');
  assert.equal(probes(), 1);
  assert.equal(await choose(), 'kvm', 'and that is kept');
  assert.equal(await choose({ wanted: 'kvm' }), 'kvm');
  assert.equal(probes(), 0);
});

test('an explicit request for a KVM that does not work is an error', async (context) => {
  const { choose } = host(context, FAILS);
  await rejectsWith(choose({ wanted: 'kvm' }), 'kvm-unusable', /KVM internal error/, /--accel tcg/);
});
