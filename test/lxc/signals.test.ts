/** The end of a container or of its launcher: whatever ends it, nothing is left. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { besideLxc, lxc } from '../helpers/connections.js';
import { assertNothingLeft, exceptLogs, processesWith, uniqueName } from '../helpers/leftovers.js';
import { IDLE } from '../helpers/programs.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const WAITING = ['sh', '-c', 'echo running; exec sleep 1000'];
const STATUS = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129, SIGKILL: undefined } as const;

/** The files in libvirt's own directory for a container of that name. */
function libvirtFiles(name: string): string[] {
  return besideLxc('ls', '/run/libvirt/lxc')
    .split('\n')
    .filter((file) => file.startsWith(name));
}

/** libvirt's process for a container. */
function controllerOf(name: string): number | undefined {
  const found = processesWith(name).find((line) => line.includes('libvirt_lxc'));
  return found === undefined ? undefined : Number.parseInt(found, 10);
}

/** True once the supervisor runs, which is about when libvirt is asked to start the container. */
function isWatched(name: string): boolean {
  return processesWith(name).some((line) => line.includes('/supervisor '));
}

describe('the end of a container', { skip: lxc.skip, concurrency: 2 }, () => {
  const start = async (script: string) => {
    const name = uniqueName();
    const args = ['-c', lxc.uri, '-n', name, '--', 'sh', '-c', script];
    const running = startSandbox(args, { ...lxc.options, input: 'open' });
    await running.until(/running/);
    return { name, running };
  };

  it("leaves nothing, not even libvirt's files", async () => {
    const name = uniqueName();
    const result = await runSandbox(['-c', lxc.uri, '-n', name, '--', 'true'], lxc.options);
    assert.equal(result.code, 0, result.stderr);
    assert.deepEqual(libvirtFiles(name), []);
    await assertNothingLeft(name, lxc.where);
  });

  it('leaves nothing where there is no supervisor, while libvirt starts it already', async () => {
    const name = uniqueName();
    // Only the supervisor makes this system call, before it says that it runs.
    const killed = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'inject=signalfd4:signal=KILL'];
    const through = [...(lxc.options.through ?? []), ...killed];
    const result = await runSandbox(['-c', lxc.uri, '-n', name, '--', ...WAITING], { ...lxc.options, through });
    assertFailure(result, /supervisor did not start: SIGKILL ended it/);
    assert.deepEqual(libvirtFiles(name), []);
    await assertNothingLeft(name, exceptLogs(lxc.where));
  });

  for (const [signal, status] of Object.entries(STATUS) as [NodeJS.Signals, number | undefined][]) {
    it(`${signal} to the launcher while the command runs`, async () => {
      const { name, running } = await start(WAITING[2] ?? '');
      assert.notEqual(controllerOf(name), undefined);
      process.kill(running.pid, signal);
      const result = await running.result;
      if (status === undefined) assert.equal(result.signal, 'SIGKILL');
      else assert.equal(result.code, status, result.stderr);
      await assertNothingLeft(name, status === undefined ? exceptLogs(lxc.where) : lxc.where);
      // Behind a launcher that is killed the supervisor waits two seconds at most for libvirt (docs/life.md).
      const isLeft = (file: string) => status !== undefined || /\.(?:xml|pid)$/.test(file);
      assert.deepEqual(libvirtFiles(name).filter(isLeft), []);
    });

    it(`${signal} to the launcher while the container starts`, async () => {
      const name = uniqueName();
      const running = startSandbox(['-c', lxc.uri, '-n', name, '--', ...WAITING], { ...lxc.options, input: 'open' });
      for (let tries = 0; tries < 2000 && !isWatched(name); tries += 1) await sleep(5);
      assert.ok(isWatched(name), 'what cleans up after the launcher runs');
      process.kill(running.pid, signal);
      const result = await running.result;
      if (status === undefined) assert.equal(result.signal, 'SIGKILL');
      else assert.equal(result.code, status, result.stderr);
      await assertNothingLeft(name, exceptLogs(lxc.where));
    });
  }

  it('signals are passed on, and the command may end by itself', async () => {
    const script = `trap "echo got USR1" USR1; trap "echo tidying; exit 3" TERM; echo running; ${IDLE}`;
    const { name, running } = await start(script);
    process.kill(running.pid, 'SIGUSR1');
    await running.until(/got USR1/);
    process.kill(running.pid, 'SIGTERM');
    const { code, out } = await running.result;
    assert.deepEqual({ code, out }, { code: 3, out: 'running\ngot USR1\ntidying\n' });
    await assertNothingLeft(name, lxc.where);
  });

  it('processes that the command left running end with it', async () => {
    const name = uniqueName();
    const script = `(trap '' TERM HUP; exec sleep 1000) >/dev/null 2>&1 & echo done`;
    const { code, out } = await runSandbox(['-c', lxc.uri, '-n', name, 'sh', '-c', script], lxc.options);
    assert.deepEqual({ code, out }, { code: 0, out: 'done\n' });
    await assertNothingLeft(name, lxc.where);
  });

  it('a container killed from outside is an error of the sandbox', async () => {
    const { name, running } = await start(WAITING[2] ?? '');
    process.kill(controllerOf(name) ?? 0, 'SIGKILL');
    const { code, stderr } = await running.result;
    assert.equal(code, 125, stderr);
    assert.match(stderr, /^virt-sandbox: application: the guest ended while the application ran.*; .+\n/);
    await assertNothingLeft(name, exceptLogs(lxc.where));
  });

  it('a container destroyed through libvirt is an error too', async () => {
    const { name, running } = await start(WAITING[2] ?? '');
    besideLxc('virsh', '-c', lxc.uri, 'destroy', name);
    const { code, stderr } = await running.result;
    assert.equal(code, 125, stderr);
    await assertNothingLeft(name, exceptLogs(lxc.where));
  });
});

describe('names of containers', { skip: lxc.skip }, () => {
  it('a name in use is refused, and is free again when the sandbox has ended', async () => {
    const name = uniqueName();
    const args = ['-c', lxc.uri, '-n', name, '--'];
    const running = startSandbox([...args, ...WAITING], { ...lxc.options, input: 'open' });
    await running.until(/running/);
    const second = await runSandbox([...args, 'true'], lxc.options);
    assert.equal(second.code, 125);
    assert.match(second.stderr, new RegExp(`the name ${name} is in use`));
    process.kill(running.pid, 'SIGTERM');
    await running.result;
    assert.equal((await runSandbox([...args, 'true'], lxc.options)).code, 0);
    await assertNothingLeft(name, lxc.where);
  });

  it("a container that is not a sandbox keeps its name, and libvirt's files", { skip: unlessBusybox }, async (t) => {
    const name = uniqueName();
    const xml = join(scratchDirectory(t), 'domain.xml');
    const words = '<initarg>sleep</initarg><initarg>1000</initarg>';
    const init = `<os><type>exe</type><init>/bin/busybox</init>${words}</os>`;
    // libvirt leaves a directory in the root.
    const root = `<filesystem><source dir="${makeRoot(t, 'dev', 'proc', 'sys')}"/><target dir="/"/></filesystem>`;
    const devices = `<devices>${root}<console type="pty"/></devices>`;
    writeFileSync(xml, `<domain type="lxc"><name>${name}</name><memory>65536</memory>${init}${devices}</domain>`);
    besideLxc('virsh', '-c', lxc.uri, 'create', xml);
    t.after(() => besideLxc('virsh', '-c', lxc.uri, 'destroy', name));
    const files = libvirtFiles(name);
    assert.ok(files.includes(`${name}.dev`), files.join(' '));
    const { code, stderr } = await runSandbox(['-c', lxc.uri, '-n', name, '--', 'true'], lxc.options);
    assert.equal(code, 125);
    assert.match(stderr, new RegExp(`the name ${name} is in use`));
    assert.deepEqual(libvirtFiles(name), files);
  });
});
