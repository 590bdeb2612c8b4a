/**
 * Guests that fail: status 125, one line that names the stage and the remedy, the guest's last lines below it, and
 * nothing left.
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { valueOr } from '../../src/util/errors.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded, system } from '../helpers/connections.js';
import { lackingKernel, servingKernel, unlessLackingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, exceptLogs, processesWith, qemuOf, ROOT_STATE, uniqueName } from '../helpers/leftovers.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, assertFailureWith, assertRun, type Running, runSandbox, startSandbox } from '../helpers/run.js';

for (const way of [embedded, system]) {
  describe(`a guest that fails over ${way.uri}`, { skip: way.skip, concurrency: 2 }, () => {
    it("a kernel panic, with the kernel's message", async () => {
      const name = uniqueName();
      // It gets its line when libvirt has started the domain: a machine that was restored may run before.
      const crash = ['sh', '-c', 'read line; echo c > /proc/sysrq-trigger'];
      const result = await runSandbox(['-c', way.uri, '-n', name, '-p', '--', ...crash], { input: '\n' });
      assertFailure(result, /panicked while the application ran: sysrq triggered crash/);
      assert.match(result.stderr, /\n {2}guest: .*Kernel panic - not syncing: sysrq triggered crash/);
      await assertNothingLeft(name, exceptLogs(way.where));
    });

    it("a machine that QEMU cannot create, with QEMU's reason", async () => {
      const name = uniqueName();
      const result = await runSandbox(['-c', way.uri, '-n', name, '--memory', '100000000', '--', 'true']);
      assertFailure(
        result,
        /did not start domain .*: .*(?:cannot set up guest memory|unable to map backing store for guest RAM)/,
        /--memory/,
      );
      await assertNothingLeft(name, exceptLogs(way.where));
    });

    it('a boot that exceeds its timeout', async () => {
      const name = uniqueName();
      const cold = ['--boot', 'cold', '--boot-timeout', '0.1'];
      const result = await runSandbox(['-c', way.uri, '-n', name, ...cold, '--', 'true']);
      assertFailure(result, /did not answer within 0\.1 s; it came as far as/, /--boot-timeout/);
      await assertNothingLeft(name, exceptLogs(way.where));
    });

    it('a machine whose QEMU is stopped', async () => {
      const name = uniqueName();
      const cold = ['--boot', 'cold', '--boot-timeout', '6'];
      const running = startSandbox(['-c', way.uri, '-n', name, ...cold, '--', 'sleep', '1000']);
      await qemuThatStarts(name);
      // libvirt itself waits for QEMU until the domain runs. On a busy host the start may be given up before.
      while (way === system && !isRunning(name) && running.child.exitCode === null) await sleep(5);
      stopQemu(name);
      assertFailure(await running.result, /did not answer within 6 s/);
      await assertNothingLeft(name, exceptLogs(way.where));
    });
  });
}

describe('a QEMU that ends before libvirt has reached its monitor', { skip: embedded.skip }, () => {
  it("is reported with QEMU's message", async () => {
    const name = uniqueName();
    const directory = await mkdtemp(join(tmpdir(), 'slow-libvirt-'));
    const cache = makeCache();
    try {
      // strace makes libvirt late: it stops at every socket that it makes, goes on when QEMU has ended, is refused, and
      // finds the process still there, as happens on a busy machine.
      const trace = join(directory, 'trace');
      const late = '-e trace=socket,connect,kill -e inject=socket:signal=SIGSTOP -e inject=kill:retval=0:when=1';
      const script = `#!/bin/sh\nexec strace -qq -o ${trace} ${late} /usr/bin/virt-qemu-run "$@"\n`;
      await writeFile(join(directory, 'virt-qemu-run'), script, { mode: 0o755 });
      const env = { PATH: `${directory}:${process.env['PATH']}`, XDG_CACHE_HOME: cache };
      const args = ['-c', embedded.uri, '-n', name, '--memory', '100000000', '--', 'true'];
      // libvirt starts another QEMU to find out what QEMU can do, and connects to that and kills it. It knows it after a
      // first start, if it runs on the same processor: on some hosts CPUID differs from one to the next.
      const through = ['taskset', '--cpu-list', '0'];
      assertFailure(
        await runSandbox(args, { env: { XDG_CACHE_HOME: cache }, through }),
        /(?:cannot set up guest memory|unable to map backing store for guest RAM)/,
      );
      const running = startSandbox(args, { env, through });
      await goOnWithoutQemu(name, trace, running);
      assertFailure(
        await running.result,
        /did not start domain .*: .*(?:cannot set up guest memory|unable to map backing store for guest RAM)/,
        /--memory/,
      );
      const traced = await readFile(trace, 'utf8');
      assert.match(traced, /monitor\.sock.*ECONNREFUSED/);
      assert.match(traced, /kill\(\d+, 0\) += 0 \(INJECTED\)/);
      await assertNothingLeft(name);
    } finally {
      removeCache(cache);
      await rm(directory, { recursive: true });
    }
  });
});

/**
 * Continues libvirt after each stop in the trace, until the program ends. It goes on behind the socket for the monitor
 * when QEMU has ended.
 */
async function goOnWithoutQemu(name: string, trace: string, { child }: Running): Promise<void> {
  const read = (file: string) => valueOr(() => readFileSync(file, 'latin1'), '');
  const isTraced = (pid: number) => /^TracerPid:\t[1-9]/m.test(read(`/proc/${pid}/status`));
  let continued = 0;
  for (; child.exitCode === null && child.signalCode === null; await sleep(5)) {
    const text = read(trace);
    const stops = text.match(/^--- stopped by SIGSTOP ---$/gm)?.length ?? 0;
    // The C library makes others, with flags. libvirt makes one like it before there is a QEMU.
    const isMonitors = text.match(/^socket\([^)]*\)/gm)?.at(-1) === 'socket(AF_UNIX, SOCK_STREAM, 0)';
    const qemu = read(join(ROOT_STATE, name, `libvirt/run/qemu/${name}.pid`)).trim();
    if (stops === continued || (isMonitors && qemu !== '' && existsSync(`/proc/${qemu}`))) continue;
    const libvirt = processesWith(`/${name}/`)
      .map((line) => Number.parseInt(line, 10))
      .find(isTraced);
    if (libvirt === undefined) continue;
    process.kill(libvirt, 'SIGCONT');
    continued += 1;
  }
}

describe('a QEMU that keeps libvirt waiting', { skip: system.skip }, () => {
  it('is killed, and leaves nothing', async () => {
    const name = uniqueName();
    // Cold: a machine that is restored may run its command before it is stopped.
    const args = ['-c', system.uri, '-n', name, '--boot', 'cold', '--boot-timeout', '4', '--', 'sleep', '1000'];
    const running = startSandbox(args, { timeout: 40_000 });
    await qemuThatStarts(name);
    // QEMU stops before it has reported its capabilities to libvirt.
    stopQemu(name);
    assertFailure(await running.result, /did not answer within 4 s/);
    await assertNothingLeft(name, exceptLogs(system.where));
  });
});

async function qemuThatStarts(name: string): Promise<void> {
  for (let tries = 0; tries < 2000; tries += 1) {
    if (qemuOf(name) !== undefined) return;
    await sleep(5);
  }
  throw new Error(`no QEMU of ${name} was started`);
}

/** Stops QEMU, unless it is gone already. */
function stopQemu(name: string): void {
  const qemu = qemuOf(name);
  if (qemu !== undefined) valueOr(() => process.kill(qemu, 'SIGSTOP'), false);
}

/** Whether a domain of qemu:///system runs, by libvirt's own record of it: virsh is slow where the machine is busy. */
function isRunning(name: string): boolean {
  const record = valueOr(() => readFileSync(`/run/libvirt/qemu/${name}.xml`, 'utf8'), '');
  return /<domstatus state='running'/.test(record);
}

describe('roots', { skip: embedded.skip || unlessBusybox, concurrency: 2 }, () => {
  const within = (root: string, ...command: string[]) => runSandbox(['-c', embedded.uri, '-r', root, '--', ...command]);

  it('a small root with one program is enough', async (t) => {
    const root = makeRoot(t, 'dev', 'proc');
    const result = await within(root, '/bin/sh', '-c', 'busybox ls /; busybox id -u; pwd');
    assertRun(result, 0, `bin\ndev\nproc\n${process.getuid?.()}\n/\n`);
  });

  it('a root without the command: status 127', async (t) => {
    assertFailureWith(127, await within(makeRoot(t, 'dev', 'proc'), '/bin/date'), /\/bin\/date: not found inside/);
  });

  for (const missing of ['dev', 'proc']) {
    it(`a root without /${missing}: the step fails`, async (t) => {
      const name = uniqueName();
      const root = makeRoot(t, ...['dev', 'proc'].filter((directory) => directory !== missing));
      const result = await runSandbox(['-c', embedded.uri, '-n', name, '-r', root, '--', '/bin/sh', '-c', 'true']);
      assertFailure(result, new RegExp(`^virt-sandbox: init: step .*failed: .*/${missing}`));
      await assertNothingLeft(name);
    });
  }

  it('a working directory that does not exist', async () => {
    const result = await runSandbox(['-c', embedded.uri, '--cwd', '/no/such/directory', '--', 'true']);
    assertFailure(result, /working directory \/no\/such\/directory/, /--cwd/);
  });

  it('a working directory that the user cannot enter', async () => {
    const result = await runSandbox(['-c', embedded.uri, '-S', 'nobody', '--cwd', '/root', '--', 'true']);
    assertFailure(result, /working directory \/root/, /--cwd/);
  });
});

describe('a kernel without 9p', { skip: embedded.skip || unlessLackingKernel }, () => {
  it('is refused where the root is to be 9p, and the error names another kernel that works', async () => {
    const args = ['-c', embedded.uri, '--root-fs', '9p', '--kernver', lackingKernel ?? '', '--', 'true'];
    const result = await runSandbox(args);
    const line = assertFailure(result);
    assert.match(line, /has no 9p file system, neither built in nor as a module/);
    assert.ok(line.includes(`kernel ${lackingKernel}`), line);
    if (servingKernel !== undefined) assert.ok(line.includes(servingKernel), line);
  });

  it('is not what is taken by default', async () => {
    const { code, out, stderr } = await runSandbox(['-v', '-c', embedded.uri, '--', 'uname', '-r']);
    assert.equal(code, 0, stderr);
    assert.equal(out, `${servingKernel}\n`);
  });
});
