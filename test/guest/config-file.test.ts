/** sandbox.cfg at the command line: a saved sandbox runs the same from its file. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { EXAMPLE } from '../../man/pages/sandbox.cfg.5.js';
import { embedded, lxc, system } from '../helpers/connections.js';
import { ask } from '../helpers/inside.js';
import { servingKernel, unlessServingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

/** A sandbox with options that libvirt-sandbox knows, and others that only this program has. */
const OPTIONS = [
  ...['-S', 'nobody', '-e', 'GREETING=hello\tthere ', '-e', 'EMPTY=', '-m', 'ram:/srv=3M', '-m', 'host-bind:/mnt='],
  ...['-i', '/mnt/hosts=/etc/hosts', '-i', '/mnt/deep/name=/etc/hostname', '--cwd', '/srv', '--memory', '300M'],
  ...['--vcpus', '2', '--accel', 'tcg', '--boot-timeout', '90'],
];

const KEEPS =
  'virt-sandbox: root keeps every capability when it is run from this file, as in libvirt-sandbox; to take them from it add ' +
  'privileged=false to [identity]\n';
/** What `--save-config` prints for a sandbox of the caller. */
const OWN = process.geteuid?.() === 0 ? KEEPS : '';

describe('saving', { skip: unlessServingKernel }, () => {
  it('writes what libvirt-sandbox would, for the kernel that would boot, and runs nothing', async (t) => {
    const file = join(scratchDirectory(t), 'sandbox.cfg');
    const save = async (...command: string[]) => {
      const args = ['-c', 'qemu:///nowhere', ...EXAMPLE.options, '--save-config', file, '--', ...command];
      assertRun(await runSandbox(args), 0, '');
      return readFileSync(file, 'utf8');
    };
    assert.ok(servingKernel !== undefined);
    // As in the manual.
    const expected = `${EXAMPLE.file.replace(EXAMPLE.kernel, servingKernel)}\n`;
    assert.equal(await save(EXAMPLE.command), expected);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const command = '\n[command]\nargv.0=';
    const other = `${command}echo\nargv.1=not\\nrun\n`;
    assert.equal(
      await save('echo', 'not\nrun'),
      expected.replace(`${command}${EXAMPLE.command}\n`, () => other),
    );
  });

  it('writes to standard output, and the same bytes again from the file', async (t) => {
    const first = join(scratchDirectory(t), 'sandbox.cfg');
    assertRun(await runSandbox([...OPTIONS, '--save-config', first, '--', 'true']), 0, '');
    const again = await runSandbox(['--config', first, '--save-config', '-']);
    assertRun(again, 0, readFileSync(first, 'utf8'));
  });

  it('records that standard input is a terminal, which a run of the file decides anew', async (t) => {
    const file = join(scratchDirectory(t), 'sandbox.cfg');
    const terminal = new AtTerminal(['--save-config', file, '--', 'tty'], { rows: 24, columns: 80 });
    t.after(() => terminal.close());
    assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
    assert.match(readFileSync(file, 'utf8'), /^tty=true$/m);
    const result = await runSandbox(['-c', embedded.uri, '--config', file]);
    assert.deepEqual({ code: result.code, out: result.out }, { code: 1, out: 'not a tty\n' });
  });

  it('names the running kernel when none can boot', async (t) => {
    const directory = scratchDirectory(t);
    const file = join(directory, 'sandbox.cfg');
    assertRun(await runSandbox(['--kmodpath', directory, '--save-config', file, '--', 'true']), 0, '', OWN);
    assert.match(readFileSync(file, 'utf8'), new RegExp(`^kernrelease=${release().replaceAll(/[.+]/g, '\\$&')}$`, 'm'));
  });

  it('fails when the file cannot be written or the sandbox is not valid', async () => {
    const failing = async (args: readonly string[], ...patterns: RegExp[]) =>
      assertFailure(await runSandbox([...args, '--save-config', '/nonexistent/x.cfg', '--', 'true']), ...patterns);
    await failing([], /\/nonexistent\/x\.cfg/);
    await failing(['-S', 'no-such-user'], /no-such-user/);
  });
});

describe('running', { skip: embedded.skip || unlessServingKernel, concurrency: 2 }, () => {
  it('gives the sandbox what the options say', async (t) => {
    const file = join(scratchDirectory(t), 'sandbox.cfg');
    const name = uniqueName();
    const saved = await runSandbox(['-n', name, ...OPTIONS, '--save-config', file, '--', 'false']);
    assertRun(saved, 0, '');
    const found = await ask(['-c', embedded.uri, '--config', file, '-e', 'MORE=1', '-m', 'ram:/opt=1M'], {
      who: 'id -un; pwd; uname -n',
      environment: 'env | grep -E "^(GREETING|EMPTY|MORE)=" | sort',
      mounts: 'awk \'$2 ~ "^/(srv|mnt|opt)$" {print $2}\' /proc/mounts',
      included: 'cat /mnt/hosts /mnt/deep/name',
      machine: 'nproc; head -n 1 /proc/meminfo',
    });
    assert.equal(found.who, `nobody\n/srv\n${name}`);
    assert.equal(found.environment, 'EMPTY=\nGREETING=hello\tthere \nMORE=1');
    assert.equal(found.mounts, '/srv\n/mnt\n/opt');
    assert.equal(
      found.included,
      `${readFileSync('/etc/hosts', 'utf8')}${readFileSync('/etc/hostname', 'utf8')}`.trim(),
    );
    assert.match(found.machine, /^2\nMemTotal: +2\d{5} kB$/);
    await assertNothingLeft(name);
  });

  it('uses another user or root when the command line says so', async (t) => {
    const file = join(scratchDirectory(t), 'sandbox.cfg');
    assertRun(
      await runSandbox(['-p', '--save-config', file, '--', 'sh', '-c', 'id -un; grep CapEff /proc/self/status']),
      0,
      '',
    );
    const privileged = await runSandbox(['-c', embedded.uri, '--config', file]);
    assert.match(privileged.out, /^root\nCapEff:\t0*[137]?f{9,}\n$/);
    for (const user of ['daemon', 'root']) {
      const other = await runSandbox(['-c', embedded.uri, '--config', file, '-S', user]);
      assertRun(other, 0, `${user}\nCapEff:\t${'0'.repeat(16)}\n`);
    }
  });

  it('leaves root its capabilities as libvirt-sandbox does, unless the file says otherwise', async (t) => {
    const file = join(scratchDirectory(t), 'sandbox.cfg');
    const command = ['sh', '-c', 'echo $HOME; grep CapEff /proc/self/status'];
    const saved = async (...options: string[]) => {
      const { code, out } = await runSandbox([...options, '--save-config', file, '--', ...command]);
      assert.deepEqual({ code, out }, { code: 0, out: '' });
      return readFileSync(file, 'utf8');
    };
    const run = async () => {
      const { code, out, stderr } = await runSandbox(['-c', embedded.uri, '--config', file]);
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      return out;
    };
    const [all, none] = [/^\/root\nCapEff:\t0*[137]?f{9,}\n$/, /^\/root\nCapEff:\t0{16}\n$/];
    // The file does not mention them: libvirt-sandbox has no key for that.
    assert.equal(await saved('-S', 'root'), await saved('-p'));
    assert.match(await run(), all);
    assert.match(await saved('-S', 'root', '--cwd', '/tmp'), /^privileged=false$/m);
    assert.match(await run(), none);
    // A wrong home directory in the file changes nothing.
    const text = await saved('-p');
    writeFileSync(file, text.replace(/^homedir=.*$/m, 'homedir=/home/somebody'));
    assert.match(await run(), all);
  });

  it('says that root keeps its capabilities, when saving, and with -v when running', async (t) => {
    const file = join(scratchDirectory(t), 'x.cfg');
    const save = async (...options: string[]) => runSandbox([...options, '--save-config', file, '--', 'true']);
    const run = (...options: string[]) =>
      runSandbox(['-v', '-c', embedded.uri, '--config', file, '--dry-run', ...options]);
    const note = `virt-sandbox: capabilities: root keeps all, unless ${file} has privileged=false in [identity]\n`;
    for (const [options, whenSaved, whenRun] of [
      [['-S', 'root'], KEEPS, true],
      [['-p'], '', true],
      [['-S', 'daemon'], '', false],
      [['-S', 'root', '--vcpus', '2'], '', false],
    ] as const) {
      assertRun(await save(...options), 0, '', whenSaved);
      assert.equal((await run()).stderr.includes(note), whenRun, options.join(' '));
    }
    assertRun(await save('-p'), 0, '');
    assert.ok(!(await run('-S', 'root')).stderr.includes(note));
  });

  it('names a file that is no sandbox.cfg', async (t) => {
    const file = join(scratchDirectory(t), 'bad.cfg');
    assertFailure(await runSandbox(['--config', file, '--', 'true']), /bad\.cfg/);
    writeFileSync(file, '[api]\nclass=GVirSandboxConfigInteractive\n\n[mount.1]\n');
    assertFailure(await runSandbox(['--config', file, '--', 'true']), /bad\.cfg has mount\.1 and no mount\.0/);
  });
});

for (const way of [embedded, system, lxc]) {
  describe(`the domain over ${way.uri}`, { skip: way.skip || unlessServingKernel }, () => {
    it('is the same when made again from its file', async (t) => {
      const directory = scratchDirectory(t);
      const file = join(directory, 'sandbox.cfg');
      // Not every host has control groups.
      const limits = way === embedded ? [] : ['--cpu-shares', '512'];
      const machine = way === lxc ? [] : ['--profile', 'compatible', '--shell', '--disk', `file:d=${disk(directory)}`];
      const own = ['-n', uniqueName(), ...(way === lxc ? OPTIONS.slice(0, 14) : OPTIONS), ...limits, ...machine];
      const line = ['-c', way.uri, ...own, '--print-xml', '--', 'true'];
      const before = await runSandbox(line, way.options);
      assert.equal(before.code, 0, before.stderr);
      assertRun(await runSandbox([...own, '--save-config', file, '--', 'true'], way.options), 0, '');
      const after = await runSandbox(['-c', way.uri, '--config', file, '--print-xml'], way.options);
      assertRun(after, 0, before.out);
    });
  });
}

function disk(directory: string): string {
  const path = join(directory, 'disk.img');
  writeFileSync(path, Buffer.alloc(1 << 20));
  return path;
}
