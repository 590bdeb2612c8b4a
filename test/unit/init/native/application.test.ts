/** The application: how it starts, and what happens to the processes that it leaves running. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { decodeExit } from '../../../../src/protocol/exit.js';
import { CallFlag, Proc, SpawnFlag } from '../../../../src/protocol/wire.js';
import { Guest, runPayload, spawnPayload, u32 } from './driver.js';
import { countTo, gone, numbersTo, scratch } from './machine.js';

const { errno, signals } = constants;
const KILLED_IN_SILENCE = /keep its output open in silence; killing them/;
const IS_ROOT = process.getuid?.() === 0;

describe('the application', () => {
  test('gets its arguments, environment and directory, and nothing else', async (t) => {
    const guest = await Guest.start(t);
    const script =
      'pwd; printf "[%s]" "$0" "$@"; echo; env; ls -l /proc/self/fd | grep -c -- "->"; umask; ps -o pid=,pgid=,sid= -p $$';
    const pid = await guest.spawn(['/bin/sh', '-c', script, 'zero', '', 'a b', 'ü'], {
      environment: ['PATH=/usr/bin:/bin', 'EMPTY=', 'KEY=a=b c'],
      directory: '/usr',
    });
    assert.equal(await guest.exit(), 0);
    const lines = guest.output(Proc.STDOUT).toString().split('\n');
    assert.equal(lines[0], '/usr');
    assert.equal(lines[1], '[zero][][a b][ü]');
    const environment = lines.slice(
      2,
      lines.findIndex((line) => /^\d+$/.test(line)),
    );
    assert.deepEqual(environment.filter((line) => !/^(PWD|_|OLDPWD|SHLVL)=/.test(line)).sort(), [
      'EMPTY=',
      'KEY=a=b c',
      'PATH=/usr/bin:/bin',
    ]);
    const [descriptors, mask, ids] = lines.slice(2 + environment.length);
    assert.equal(descriptors, '4', 'stdin, stdout, stderr and the directory that ls reads');
    assert.equal(mask, '0022');
    assert.deepEqual(ids?.trim().split(/\s+/), [`${pid}`, `${pid}`, `${pid}`]);
    await guest.finish();
  });

  test('gets as many arguments as Linux takes, also after a slow call', async (t) => {
    const guest = await Guest.start(t);
    const words = Array.from({ length: 13 }, (_, index) => String(index).padEnd(130_000, 'x'));
    const many = Array.from({ length: 20_000 }, (_, index) => String(index));
    const argv = ['/bin/sh', '-c', 'printf "%s\\n" "$@" | sha256sum', 'sh', ...words, ...many];
    const waited = guest.ok(Proc.RUN, runPayload(['sleep', '0.3']));
    await guest.spawn(argv);
    await waited;
    assert.equal(await guest.exit(), 0);
    const all = [...words, ...many].map((word) => `${word}\n`).join('');
    assert.equal(guest.output(Proc.STDOUT).toString(), `${createHash('sha256').update(all).digest('hex')}  -\n`);
    await guest.finish();
  });

  test("is refused with more than that, with Linux's reason", async (t) => {
    const guest = await Guest.start(t);
    const argv = ['/bin/true', ...Array.from({ length: 17 }, () => 'x'.repeat(130_000))];
    assert.match(await guest.fails(errno.E2BIG, Proc.SPAWN, spawnPayload(argv)), /execve/);
    await guest.finish();
  });

  test('starts with every signal at its default and none blocked', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['cat', '/proc/self/status']);
    assert.equal(await guest.exit(), 0);
    const status = guest.output(Proc.STDOUT).toString();
    for (const set of ['SigBlk', 'SigIgn', 'SigCgt']) assert.match(status, new RegExp(`^${set}:\\s0{16}$`, 'm'));
    await guest.finish();
  });

  test('has separate stdout and stderr, each with its own end', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('echo out; echo err >&2; exec 2>&-; sleep 0.2; echo late');
    await guest.until(() => guest.outputEnded(Proc.STDERR), 'end of stderr');
    assert.ok(!guest.outputEnded(Proc.STDOUT));
    await guest.exit();
    assert.ok(guest.outputEnded(Proc.STDOUT));
    assert.equal(guest.output(Proc.STDOUT).toString(), 'out\nlate\n');
    assert.equal(guest.output(Proc.STDERR).toString(), 'err\n');
    await guest.finish();
  });

  for (const code of [0, 7, 255]) {
    test(`exit status ${code}`, async (t) => {
      const guest = await Guest.start(t);
      await guest.shell(`exit ${code}`);
      assert.equal(await guest.exit(), code << 8);
      await guest.finish();
    });
  }

  test('reports death by a signal', async (t) => {
    const guest = await Guest.start(t);
    const pid = await guest.shell('sleep 1000 & echo $!; wait');
    await guest.outputHas(Proc.STDOUT, '\n');
    const other = Number(guest.output(Proc.STDOUT));
    await guest.signal(signals.SIGKILL);
    assert.equal(await guest.exit(), signals.SIGKILL);
    await gone(pid);
    await gone(other);
    for (const [code, signal] of [
      [errno.ESRCH, signals.SIGTERM],
      [errno.EINVAL, 0],
      [errno.EINVAL, 1000],
    ] as const) {
      await guest.fails(code, Proc.SIGNAL, Buffer.concat([u32(guest.application), u32(signal)]), CallFlag.TOLERATE);
    }
    await guest.finish();
  });

  test('reports death by its own fault', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('kill -SEGV $$');
    assert.equal((await guest.exit()) & 0x7f, signals.SIGSEGV);
    await guest.finish();
  });

  test('reports a command that cannot be started, with the step that failed', async (t) => {
    const directory = await scratch(t);
    await writeFile(join(directory, 'plain'), 'no program');
    await mkdir(join(directory, 'bin'));
    await writeFile(join(directory, 'bin', 'plain'), 'no program');
    await writeFile(join(directory, 'broken'), '\x7fELF garbage');
    await chmod(join(directory, 'broken'), 0o755);
    const guest = await Guest.start(t);
    const environment = [`PATH=${directory}/nowhere:${directory}:${directory}/bin`];
    const fails = async (code: number, argv: string[], options = {}): Promise<string> =>
      guest.fails(code, Proc.SPAWN, spawnPayload(argv, { environment, ...options }), CallFlag.TOLERATE);
    assert.equal(await fails(errno.ENOENT, ['no-such']), 'execve(no-such): No such file or directory');
    assert.equal(await fails(errno.ENOENT, ['/no/such']), 'execve(/no/such): No such file or directory');
    assert.equal(await fails(errno.EACCES, ['plain']), `execve(${directory}/plain): Permission denied`);
    assert.equal(await fails(errno.EACCES, ['/usr']), 'execve(/usr): Permission denied');
    const nonexistent = { directory: '/nonexistent' };
    assert.equal(
      await fails(errno.ENOENT, ['/bin/true'], nonexistent),
      'chdir(/nonexistent): No such file or directory',
    );
    await fails(errno.EINVAL, []);
    await fails(errno.ENOENT, ['']);
    await fails(errno.EINVAL, ['/bin/true'], { uid: 0xffff_ffff });
    await fails(errno.EINVAL, ['/bin/true'], { gid: 0xffff_ffff });
    await fails(errno.EINVAL, ['/bin/true'], { flags: 2 });
    await fails(errno.EINVAL, ['/bin/true'], { flags: SpawnFlag.PTY, rows: 65_536, columns: 1 });
    await guest.spawn(['/bin/true']);
    assert.equal(await guest.exit(), 0);
    await guest.finish();
  });

  test('a script without an interpreter line is run by the shell', async (t) => {
    const directory = await scratch(t);
    await writeFile(join(directory, 'script'), 'echo "$0 $1"; exit 3');
    await chmod(join(directory, 'script'), 0o755);
    const guest = await Guest.start(t);
    await guest.spawn(['script', 'one'], { environment: [`PATH=/nowhere:${directory}:/bin`] });
    assert.equal(await guest.exit(), 3 << 8);
    assert.equal(guest.output(Proc.STDOUT).toString(), `${directory}/script one\n`);
    await guest.finish();
  });

  test('cannot be spawned twice', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['sleep', '1000']);
    await guest.fails(errno.EBUSY, Proc.SPAWN, spawnPayload(['true']), CallFlag.TOLERATE);
    await guest.signal(signals.SIGTERM);
    assert.equal(await guest.exit(), signals.SIGTERM);
    await guest.finish();
  });

  test('runs with the ids, groups and capabilities from the host', { skip: !IS_ROOT && 'needs root' }, async (t) => {
    const show = 'grep -E "^(Uid|Gid|Groups|Cap)" /proc/self/status; id -u; [ -w /dev/stderr ] && echo own';
    const status = async (options: object): Promise<string> => {
      const guest = await Guest.start(t);
      await guest.shell(`${show}; echo >/dev/stdout; exit 0`, options);
      assert.equal(await guest.exit(), 0);
      await guest.finish();
      return guest.output(Proc.STDOUT).toString();
    };
    const none = '0'.repeat(16);
    const nobody = await status({ uid: 65_534, gid: 65_533, groups: [7, 9], capabilities: 0n });
    assert.match(nobody, /^Uid:\t65534\t65534\t65534\t65534$/m);
    assert.match(nobody, /^Gid:\t65533\t65533\t65533\t65533$/m);
    assert.match(nobody, /^Groups:\t7 9 $/m);
    assert.match(nobody, /^own$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      assert.match(nobody, new RegExp(`^Cap${set}:\t${none}$`, 'm'));

    const powerless = await status({ uid: 0, gid: 0, groups: [], capabilities: 0n });
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      assert.match(powerless, new RegExp(`^Cap${set}:\t${none}$`, 'm'));

    const kept = await status({ uid: 0, gid: 0, groups: [], capabilities: 0x3n });
    for (const set of ['Prm', 'Eff', 'Bnd']) assert.match(kept, new RegExp(`^Cap${set}:\t0{15}3$`, 'm'));

    const user = await status({ uid: 65_534, gid: 65_534, groups: [], capabilities: 0x3n });
    assert.match(user, /^CapBnd:\t0{15}3$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Amb']) assert.match(user, new RegExp(`^Cap${set}:\t${none}$`, 'm'));
  });
});

describe('a process that the application leaves running', () => {
  test('is killed at once when it does not hold the output', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('sleep 1000 </dev/null >/dev/null 2>&1 & echo $!');
    assert.equal(await guest.exit(), 0);
    await gone(Number(guest.output(Proc.STDOUT)));
    await guest.finish();
    assert.doesNotMatch(guest.said, KILLED_IN_SILENCE);
  });

  test('is killed after a second of silence when it holds the output', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('sleep 1000 & echo $!');
    const { status, drained } = decodeExit((await guest.exitPacket(guest.application)).payload);
    assert.equal(status, 0);
    assert.ok(drained >= 900_000, `${drained} µs`);
    await gone(Number(guest.output(Proc.STDOUT)));
    await guest.finish();
    assert.match(guest.said, KILLED_IN_SILENCE);
  });

  test('runs on while it is not silent', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell(`${countTo(40)} & exit 9`);
    assert.equal(await guest.exit(), 9 << 8);
    assert.equal(guest.output(Proc.STDOUT).toString(), numbersTo(40));
    await guest.finish();
  });

  test('is killed even in its own session', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('setsid sleep 1000 & sleep 0.1; echo $!');
    assert.equal(await guest.exit(), 0);
    await gone(Number(guest.output(Proc.STDOUT)));
    await guest.finish();
  });
});
