/** A QEMU that its guest has taken over: a process with the user of a sandbox's QEMU, and what it tries. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ACCEL } from './acceleration.js';
import type { Way } from './connections.js';
import { assertNothingLeft, qemuOf, uniqueName } from './leftovers.js';
import { type Running, startSandbox } from './run.js';

export interface Machine {
  readonly name: string;
  readonly running: Running;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** A sandbox that waits, and its QEMU. @param cache default: the one that the tests share */
export async function startMachine(
  t: TestContext,
  { way, cache }: { readonly way: Way; readonly cache?: string },
  ...options: readonly string[]
): Promise<Machine> {
  const name = uniqueName();
  const args = ['-c', way.uri, ...ACCEL, '-n', name, ...options, '--', 'sh', '-c', 'echo up; read line'];
  const running = startSandbox(args, { env: cache === undefined ? {} : { XDG_CACHE_HOME: cache }, input: 'open' });
  t.after(() => running.child.kill('SIGTERM'));
  await running.until(/^up\n/);
  const pid = qemuOf(name);
  assert.ok(pid !== undefined, `${name} has no QEMU`);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const id = (key: string) => Number(new RegExp(`^${key}:\\t(\\d+)`, 'm').exec(status)?.[1]);
  return { name, running, pid, uid: id('Uid'), gid: id('Gid') };
}

export async function endMachine({ name, running }: Machine, way: Way): Promise<void> {
  running.child.stdin?.end('\n');
  assert.equal((await running.result).code, 0);
  await assertNothingLeft(name, way.where);
}

/**
 * Whether a script succeeds as the user of a machine's QEMU.
 * @param beside a machine whose QEMU has the mounts that the script sees; default: the host's
 */
export function can({ uid, gid }: Machine, script: string, beside?: Machine): boolean {
  const mounts = beside === undefined ? [] : ['nsenter', '--mount', `--target=${beside.pid}`];
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--bounding-set=-all', '--'];
  const [command = '', ...words] = [...mounts, ...user, 'sh', '-c', script];
  return spawnSync(command, words).status === 0;
}

/** The path that a machine's QEMU has its first disk under. */
export function diskPathOf({ pid }: Machine): string {
  const [, path] = /"driver":"file","filename":"([^"]+)"/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? [];
  assert.ok(path !== undefined, 'QEMU has no disk');
  return path;
}

/** Attacks on a QEMU. Each works on the attacker's own. */
export function attacksOn({ pid }: Machine): Record<string, string> {
  const [, first = ''] = /^([0-9a-f]+)-/.exec(readFileSync(`/proc/${pid}/maps`, 'latin1')) ?? [];
  const page = Number.parseInt(first, 16) / 4096;
  return {
    signal: `kill -0 ${pid}`,
    maps: `head -n 1 /proc/${pid}/maps`,
    memory: `dd if=/proc/${pid}/mem of=/dev/null bs=4096 skip=${page} count=1`,
    files: `ls /proc/${pid}/fd/`,
    environment: `cat /proc/${pid}/environ`,
  };
}

/** Every file below a directory. Links are not followed. */
export function below(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    return [path, ...(entry.isDirectory() ? below(path) : [])];
  });
}
