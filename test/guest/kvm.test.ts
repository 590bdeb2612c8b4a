/**
 * KVM for real, whatever this host has: QEMU emulates a processor with SVM and nested paging, so a machine with
 * `--nested-kvm` is a KVM host, and sandboxes run in it. What they did is judged here.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { TCG } from '../helpers/acceleration.js';
import { bakeJson } from '../helpers/bake.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { CACHE, type Ended, GIVEN, IMAGE, type Parts, SLOTS } from '../helpers/kvm-host.js';
import { REPOSITORY, runSandbox } from '../helpers/run.js';

/** How far a guest's clock may be off, in milliseconds. */
const CLOCK_MS = 50;

/** The value of a line `NAME VALUE`. */
function fact(text: string, name: string): string {
  return new RegExp(`^${name} +(.*?)\\r?$`, 'm').exec(text)?.[1] ?? assert.fail(`no ${name} in ${text}`);
}

const skip = embedded.skip || unlessProgram('tini', 'libvirtd', 'virtlogd', 'passt', 'modprobe');

describe('on a host with KVM', { skip }, () => {
  let parts: Partial<Parts> = {};
  const part = <Name extends keyof Parts>(name: Name): Parts[Name] => parts[name] ?? assert.fail(`no ${name}`);

  const cache = makeCache();
  after(() => removeCache(cache));

  before(async () => {
    const machine = [...TCG, '--vcpus', '2'].join(' ');
    await bakeJson(cache, ['create', '--warm', '-c', embedded.uri, ...SLOTS, '--name', IMAGE, '--for', machine]);
    const memory = ['/var/cache', '/var/lib/libvirt', '/var/log', '/var/tmp', '/etc/libvirt'];
    const result = await runSandbox(
      [
        ...['-c', embedded.uri, ...TCG, '--nested-kvm', '--vcpus', '2', '--memory', '3G', '-p'],
        ...memory.flatMap((target) => ['-m', `ram:${target}=1G`]),
        ...['-m', `host-bind:/mnt=${REPOSITORY},ro`, '-m', `host-bind:${GIVEN}=${cache},ro`],
        ...['--', process.execPath, '/mnt/build/test/helpers/kvm-host.js'],
      ],
      { timeout: 600_000 },
    );
    const lines = result.out.split('\n').filter((line) => line.startsWith('{'));
    parts = Object.assign({}, ...lines.map((line) => JSON.parse(line) as object));
    assert.ok(parts.end, `${result.out}\n${result.stderr}`);
  });

  /** Expects that a program ended so, and was silent about emulation. */
  function assertEnded({ code, signal, stderr, fallback }: Ended, expected: number): void {
    assert.deepEqual({ code, signal, fallback }, { code: expected, signal: null, fallback: '' }, stderr);
  }

  it('auto tries KVM at the first start, and uses it', () => {
    assertEnded(part('cold'), 7);
    assert.match(part('cold').stderr, /Trying whether KVM runs a guest/);
    assert.equal(fact(part('cold').out, 'clocksource'), 'kvm-clock');
  });

  it('keeps what it has found, and does not try again', () => {
    const { verdicts } = JSON.parse(part('verdicts')) as { verdicts: Record<string, unknown> };
    assert.deepEqual(Object.values(verdicts), [{ usable: true, reason: 'a guest booted' }]);
    assert.doesNotMatch(part('clock').stderr, /Trying whether/);
  });

  it('a snapshot that was made under emulation is not used', () => {
    assert.match(part('cold').stderr, /^virt-sandbox: boot: cold, because the snapshot \S+ was baked under tcg$/m);
  });

  it('two processors', () => assert.equal(fact(part('cold').out, 'processors'), '2'));

  it('bakes a snapshot, which says what it was made under', () => {
    assertEnded(part('bake'), 0);
    const { warm } = JSON.parse(part('bake').out) as { warm: string };
    assert.ok(warm.startsWith(`${CACHE}/images/`), warm);
    assert.match(part('show').out, /^\S+ +512 MiB +1 +kvm +/m);
    assert.match(
      part('show').out,
      /^\S+ +KVM; QEMU [\d.]+; libvirt [\d.]+; .+ features; a counter of \d+ MHz, within 0\.5 %$/m,
    );
  });

  it('starts from it, also where KVM is required', () => {
    assertEnded(part('clock'), 5);
    for (const text of [part('clock').stderr, part('terminal').text, part('system').stderr])
      assert.match(text, /^virt-sandbox: boot: warm, from \S+\r?$/m);
    assert.equal(fact(part('clock').out, 'clocksource'), 'kvm-clock');
  });

  it('clones of one snapshot have nothing in common that is to be unique', () => {
    const clones = [part('clock').out, part('terminal').text, part('system').out];
    for (const name of ['uuid', 'boot_id', 'urandom'])
      assert.equal(new Set(clones.map((text) => fact(text, name))).size, clones.length, name);
  });

  it("a restored machine has its host's time", () => {
    const { exchanges, late } = part('clock');
    assert.equal(exchanges.length, 5);
    // A launcher that gets too little of a processor to be sure says how far the clock may be off.
    const most = Math.max(CLOCK_MS, late);
    // It answers between question and reply, so an exchange gives a lower bound of its clock's error.
    for (const { asked, guest, answered } of exchanges)
      assert.ok(guest >= asked - most && guest <= answered + most, JSON.stringify(exchanges));
  });

  it('signals reach the command, and its exit status comes back', () => {
    assertEnded(part('clock'), 5);
    assert.match(part('clock').out, /^caught$/m);
    assertEnded(part('system'), 128 + 9);
  });

  it('a terminal', () => {
    const { code, text } = part('terminal');
    assert.equal(code, 4);
    assert.match(text, /size 33 101\r?$/m);
  });

  it('a network and a disk', () => {
    assert.match(part('system').out, /^inet 10\.0\.2\.15$/m);
    assert.match(part('system').out, /^disk $/m);
    assert.equal(part('system').disk, 'WROTEdisk ');
  });

  it('over qemu:///system', () => {
    assert.equal(fact(part('system').out, 'clocksource'), 'kvm-clock');
  });

  it("the processor is the host's, and has no virtualization of its own", () => {
    for (const text of [part('cold').out, part('clock').out, part('system').out])
      assert.equal(fact(text, 'virtualization'), '0');
  });

  it('a snapshot that was made under KVM is not used for emulation', () => {
    assertEnded(part('emulated'), 0);
    assert.match(part('emulated').stderr, /^virt-sandbox: boot: cold, because the snapshot \S+ was baked under kvm$/m);
  });
});
