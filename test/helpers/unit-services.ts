/** Services of units that a test writes, and what holds for them in machines and in containers alike. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { LOG_BYTES } from '../../src/control/log.js';
import type { Way } from './connections.js';
import { assertNothingLeft, exceptLogs } from './leftovers.js';
import { AtTerminal } from './pty.js';
import { SERVICE_PROGRAM } from './run.js';
import { scratchDirectory } from './scratch.js';
import { createdService, LIVES, type TestService } from './services.js';
import { OWN_UNITS, writeUnits } from './systemd-sandbox.js';

/**
 * A service of units of the test. The host has none of them, so its file names them in the place of one that it has.
 * @param units their texts by their names
 * @param named those that the service starts
 */
export async function unitService(
  t: TestContext,
  way: Way,
  units: Readonly<Record<string, string>>,
  named: readonly string[],
  ...options: readonly string[]
): Promise<TestService> {
  const directory = writeUnits(scratchDirectory(t), units);
  const mount = ['-m', `host-bind:${OWN_UNITS}=${directory},ro`];
  const service = await createdService(t, way, [...mount, ...options, '-u', 'systemd-journald']);
  const keys = named.map((unit, index) => `unit.${index}=${unit}\n`);
  service.change((text) => text.replace(/^unit\.0=systemd-journald\.service\n/m, keys.join('')));
  return service;
}

/** It can be reloaded. */
export const STEADY = `[Service]
ExecStart=/bin/sh -c 'echo steady runs; exec sleep 1000'
ExecReload=/bin/sh -c 'echo steady reloads; echo x >>/run/reloads'
`;

/** Fails at once. */
const NO_GOOD = `[Service]
ExecStart=/bin/sh -c 'echo it is no good; exit 3'
Type=oneshot
`;

/** Takes 120 MB when it is told to: zeros without a line feed are one line, which tail(1) keeps. */
const HOG = `[Service]
ExecStart=/bin/sh -c 'until [ -e /run/go ]; do sleep 0.1; done; head -c 120000000 /dev/zero | tail >/dev/null; touch /run/took; exec sleep 1000'
OOMPolicy=kill
MemoryMax=30M
MemorySwapMax=0
`;

/** Ends well when it is told to, which a unit of its type, `simple`, is not to. */
const ENDS = `[Service]
ExecStart=/bin/sh -c 'until [ -e /run/end ]; do sleep 0.1; done'
`;

const HANGS = {
  'silent.service': ['Type=notify\nExecStart=/bin/sleep infinity', 'start'],
  'stuck.service': ['ExecStartPre=/bin/sleep infinity\nExecStart=/bin/true', 'start-pre'],
} as const;

/** Fails when it is told to. */
const FAILS = `[Service]
ExecStart=/bin/sh -c 'echo begun; echo to stderr >&2; until [ -e /run/fail ]; do sleep 0.1; done; echo it is broken; exit 3'
`;

/** What a root may have of its own for journald. */
const SILENT = '[Journal]\nForwardToConsole=no\nMaxLevelConsole=emerg\n';

/** Writes lines of 1000 bytes, and then goes on without. @param bytes how many */
function floods(bytes: number): string {
  const line = 'x'.repeat(999);
  const script = `until [ -e /run/go ]; do sleep 0.1; done; yes ${line} | head -c ${bytes}; echo all is written`;
  return `[Service]\nExecStart=/bin/sh -c '${script}; exec sleep infinity'\n`;
}

/** Hangs where systemd ends it in order, and says when it gets SIGTERM. */
const HANGS_AT_END = `[Service]
ExecStart=/bin/sh -c 'trap "echo ended >/srv/by-term; exit" TERM; touch /run/set; while :; do sleep 0.1; done'
ExecStop=/bin/sleep infinity
`;

/** Beside the systemd of a service. */
async function hasShell(t: TestContext, { name, way }: TestService): Promise<void> {
  const size = { rows: 24, columns: 80 };
  const shell = new AtTerminal(['connect', name], size, { ...way.options, program: SERVICE_PROGRAM });
  t.after(() => shell.close());
  await shell.until(/[#$] /);
  // The words are not those that come back.
  shell.type('echo $(cat /proc/1/comm) $(systemctl is-active steady)\r');
  await shell.until(/systemd active/);
  shell.type('\u001d');
  assert.equal((await shell.exited()).code, 0);
  assert.equal(shell.settings(), shell.before);
}

/** Defines the tests. */
export function itHasUnits(way: Way): void {
  const platform = way.uri.startsWith('lxc') ? 'container' : 'machine';

  it('limits a unit, or says that it cannot, and is degraded when one has ended by itself', async (t) => {
    const units = { 'hog.service': HOG, 'ends.service': ENDS };
    const service = await unitService(t, way, units, ['hog.service', 'ends.service']);
    // It is not to end as unhealthy before all is seen.
    service.set({ healthinterval: 600_000 });
    const { code, stderr } = await service.run(['start']);
    assert.equal(code, 0, stderr);
    const { idleLimits } = await service.status();
    await service.inside('touch /run/end; while systemctl is-active -q ends; do sleep 0.1; done');
    // The holder of a sandbox on a loaded machine may be too slow for one look.
    const ended = await service.eventually(
      () => service.run(['status']),
      ({ out }) => /: running, degraded since /.test(out),
    );
    assert.equal(ended.code, 0);
    assert.match(ended.out, /^ {2}unit +hog\.service active \(running\)\n {2}unit +ends\.service inactive \(dead\)$/m);
    await service.inside('touch /run/go');
    const result =
      'until [ -e /run/took ] || systemctl is-failed -q hog; do sleep 0.1; done; systemctl show -P Result hog';
    if (idleLimits === undefined) {
      assert.equal(stderr, '');
      assert.equal(await service.inside(result), 'oom-kill\n');
      assert.match((await service.run(['status'])).out, /hog\.service failed \(failed\), oom-kill/);
      return;
    }
    assert.equal(platform, 'container');
    const warned =
      /^MemoryMax= and MemorySwapMax= of hog\.service have no effect: .*; bound the whole service with --memory, or run it in a machine/;
    assert.match(idleLimits.join('\n'), warned);
    assert.ok(stderr.includes(`warning: ${idleLimits[0]}`), stderr);
    assert.match((await service.run(['status'])).out, /^ {2}warning {3}MemoryMax= and/m);
    assert.equal(await service.inside(result), 'success\n');
  });

  it('is ready when they are active, reloads them, and shows what they write', async (t) => {
    const service = await unitService(t, way, { 'steady.service': STEADY }, ['steady.service']);
    await service.ok(['start']);
    const { units } = await service.status();
    assert.deepEqual(
      units?.map(({ unit, active }) => [unit, active]),
      [['steady.service', 'active']],
    );
    await service.ok(['reload']);
    await service.ok(['reload', '-u', 'steady']);
    await service.ok(['reload', '--unitfile', 'steady.service']);
    assert.equal(await service.inside('cat /run/reloads'), 'x\nx\nx\n');
    await service.fails(['reload', '-u', 'none'], /none\.service cannot be reloaded/);
    await service.eventually(
      () => service.ok(['logs', '--journal']),
      (text) => text.includes('steady reloads'),
    );
    assert.match(await service.ok(['logs', '--journal', '--tail', '100']), /steady runs/);
    const following = service.begin(['logs', '--follow']);
    await following.until(/steady runs/);
    assert.equal(await service.inside('systemctl is-active steady; id -u', '--user', 'nobody'), 'active\n65534\n');
    await hasShell(t, service);
    await service.ok(['stop']);
    const followed = await following.result;
    assert.equal(followed.code, 0, followed.stderr);
    assert.match(followed.out, /steady reloads/);
    assert.equal(followed.out, await service.log());
    const { state, lastEnd } = await service.status();
    assert.deepEqual([state, lastEnd?.why, lastEnd?.exitCode], ['stopped', 'stopped', 0]);
    await service.fails(['logs', '--journal'], /does not run/);
  });

  it('is not ready if one fails, and says what that said', async (t) => {
    const names = ['steady.service', 'fails-at-once.service'];
    const service = await unitService(t, way, { 'steady.service': STEADY, 'fails-at-once.service': NO_GOOD }, names);
    const { code, stderr } = await service.run(['start']);
    assert.equal(code, 125);
    assert.match(stderr, /the unit fails-at-once\.service failed: exit-code, status 3; .*\n/);
    assert.match(
      stderr,
      /\n {2}guest: the journal of the unit ends with:\n(?: {2}guest: .*\n)*? {2}guest: it is no good\n/,
    );
    const logs = await service.run(['logs']);
    assert.deepEqual(
      `${logs.out}${logs.stderr}`.match(/^.*it is no good/gm)?.map((line) => line.replace(/\d+/, 'N')),
      ['sh[N]: it is no good'],
    );
    assert.equal((await service.status()).state, 'failed');
  });

  for (const [unit, [text, sub]] of Object.entries(HANGS))
    it(`says that ${unit} is not active in time, and leaves nothing`, async (t) => {
      const service = await unitService(t, way, { [unit]: `[Service]\n${text}\nTimeoutStartSec=infinity\n` }, [unit]);
      // From the order on, on a loaded machine: systemd has to have started by then.
      const seconds = platform === 'machine' ? 45 : 15;
      service.set({ starttimeout: seconds * 1000 });
      await service.fails(
        ['start'],
        new RegExp(`was not ready within ${seconds} s: the unit ${unit} is activating \\(${sub}\\)`),
      );
      assert.equal((await service.status()).state, 'failed');
      await assertNothingLeft(service.name, { ...exceptLogs(way.where), state: '/run/libvirt-sandbox' });
    });

  it('logs what units write, also of a start that has ended', async (t) => {
    const settings = writeUnits(scratchDirectory(t), { 'zz-root.conf': SILENT });
    const options = ['-m', `host-bind:/etc/systemd/journald.conf.d=${settings},ro`, '--restart', 'on-failure'];
    const service = await unitService(t, way, { 'fails.service': FAILS }, ['fails.service'], ...options);
    service.set({ healthinterval: 500 });
    const { code, stderr } = await service.run(['start']);
    assert.equal(code, 0, stderr);
    await service.inside('touch /run/fail');
    await service.until(({ state, restarts }) => state === 'running' && restarts === 1);
    // A unit is active before its shell has said anything.
    const [begun, toStderr] = [/^sh\[\d+\]: begun\r?$/gm, /^sh\[\d+\]: to stderr\r?$/gm];
    await service.eventually(
      () => service.log(),
      (found) => [begun, toStderr].every((line) => found.match(line)?.length === 2),
    );
    const { code: stopCode, stderr: said } = await service.run(['stop']);
    assert.equal(stopCode, 0, said);
    const log = await service.log();
    const countOf = (line: RegExp) => log.match(line)?.length;
    const counts = [begun, toStderr, /^sh\[\d+\]: it is broken\r?$/gm].map(countOf);
    assert.deepEqual(counts, [2, 2, 1], log);
    assert.ok(!log.includes('\x1b'), log);
  });

  it('goes on while a unit floods its log, which stays bounded', async (t) => {
    const bytes = platform === 'container' ? 50_000_000 : 2_000_000;
    const service = await unitService(t, way, { 'floods.service': floods(bytes) }, ['floods.service']);
    assert.equal((await service.run(['start'])).code, 0);
    await service.inside('touch /run/go');
    await service.eventually(
      async () => (await service.inside('systemctl is-active floods')) + (await service.log('--tail', '1')),
      (found) => /^active\nsh\[\d+\]: all is written\r?\n$/.test(found),
    );
    const sizes = ['log', 'log.1'].map(
      (file) => statSync(join(LIVES, service.name, file), { throwIfNoEntry: false })?.size,
    );
    for (const size of sizes) assert.ok((size ?? 0) <= LOG_BYTES, sizes.join(' '));
    assert.ok(platform === 'machine' || sizes[1] !== undefined);
    assert.equal((await service.run(['stop'])).code, 0);
    assert.deepEqual((await service.status()).lastEnd?.exitCode, 0);
  });

  it('has systemd end everything by SIGTERM before it is killed', async (t) => {
    const service = await unitService(t, way, { 'hangs.service': HANGS_AT_END }, ['hangs.service']);
    assert.equal((await service.run(['start'])).code, 0);
    await service.inside('until [ -e /run/set ]; do sleep 0.1; done');
    const { code, stderr } = await service.run(['stop', '-t', '20']);
    assert.equal(code, 0, stderr);
    assert.match(await service.log(), /Received SIGRTMIN\+13/);
    // The last part of the time, 5 s, may be too short for the rest on an emulated processor.
    if (platform === 'machine') return;
    assert.equal((await service.run(['start'])).code, 0);
    assert.equal(await service.inside('cat /srv/by-term'), 'ended\n');
    await service.run(['stop', '-t', '0']);
  });
}
