/**
 * libvirt-sandbox's manual test plan: console I/O, file systems a to g, includes a to f, identities a to d, each over
 * every way to libvirt.
 * Tests that look at different sides of one sandbox share it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { embedded, lxc, system, type Way } from '../helpers/connections.js';
import { ext4Of, unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertRun, type RunOptions, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const SIZE = { rows: 25, columns: 90 };

/** Who runs a sandbox, and how. */
interface Runner {
  readonly uri: string;
  readonly options: RunOptions;
  readonly where: Way['where'];
  readonly uid: number;
  readonly username: string;
  readonly home: string;
  /** Where a command begins: the home directory, where it exists inside. */
  readonly directory: string;
  /** Makes a file of the host theirs. */
  own(path: string): string;
}

const NO_CAPABILITY = '0000000000000000';
const IDENTITY = {
  ids: 'echo $(id -u) $(id -g)',
  variables: 'echo $USER $LOGNAME $HOME',
  capabilities: 'grep CapEff /proc/self/status | cut -f2',
  bounding: 'grep CapBnd /proc/self/status | cut -f2',
} as const;

/** A raw ext4 image with these `directories`. */
function image(directory: string, name: string, ...directories: readonly string[]): string {
  const content = join(directory, `${name}.d`);
  mkdirSync(content);
  writeFileSync(join(content, 'label'), `${name}\n`);
  for (const each of directories) mkdirSync(join(content, each), { mode: 0o777 });
  return ext4Of(content, join(directory, `${name}.img`));
}

/** A block device of the host with that content; undefined where the host has none to spare. */
function loopDevice(context: TestContext, file: string): string | undefined {
  try {
    const device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8', stdio: 'pipe' }).trim();
    context.after(() => execFileSync('losetup', ['--detach', device]));
    return device;
  } catch {
    return undefined;
  }
}

/** The plan for one runner, which is created before the tests. */
function plan(runner: () => Runner): void {
  /** Runs a sandbox with its own name, and asserts that nothing is left. */
  const leavingNothing = async <T>(act: (args: readonly string[], { options }: Runner) => Promise<T>): Promise<T> => {
    const name = uniqueName();
    const { uri, where } = runner();
    const result = await act(['-c', uri, '-n', name], runner());
    await assertNothingLeft(name, where);
    return result;
  };
  const run = (command: readonly string[], more: RunOptions = {}) =>
    leavingNothing((args, { options }) => runSandbox([...args, '--', ...command], { ...options, ...more }));
  const look = <T extends Readonly<Record<string, string>>>(own: readonly string[], questions: T) =>
    leavingNothing((args, { uri, options }) => {
      const said = uri === lxc.uri && own.includes('-p') ? { stderr: /is no barrier/ } : {};
      return ask([...args, ...own], questions, { ...options, ...said });
    });

  it('console a: nothing in or out, with a terminal', async (t) => {
    await leavingNothing(async (args, { options }) => {
      const terminal = new AtTerminal([...args, '--', 'false'], SIZE, options);
      t.after(() => terminal.close());
      assert.deepEqual(await terminal.exited(), { code: 1, signal: null });
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the line of progress is cleared by them
      assert.equal(terminal.text.replace(/\r\x1b\[K(virt-sandbox: [^\r]*)?/g, ''), '');
    });
  });

  it('console b and c: output, and input and output, with a terminal', async (t) => {
    await leavingNothing(async (args, { options }) => {
      const terminal = new AtTerminal([...args, '-e', 'PS1=READY> ', '--', 'sh', '-i'], SIZE, options);
      t.after(() => terminal.close());
      await terminal.until(/READY> $/);
      terminal.type('date -u +%Y; tty; stty size\n');
      await terminal.until(/\n2\d{3}\r\n\/dev\/pts\/\d+\r\n25 90\r\n.*READY> $/);
      terminal.type('read line; echo "<$line>"\n');
      terminal.type('typed by a person\n');
      await terminal.until(/\n<typed by a person>\r\n.*READY> $/);
      terminal.type('exit 3\n');
      assert.deepEqual(await terminal.exited(), { code: 3, signal: null });
    });
  });

  it('console d: nothing in or out, without a terminal', async () => {
    assertRun(await run(['false']), 1, '');
  });

  it('console e and f: output, and input and output, without a terminal', async () => {
    const input = Buffer.alloc(3_000_000, 'every byte of it\n\0\xff', 'latin1');
    const { code, stdout, stderr } = await run(['sh', '-c', 'date -u +%Y; cat; echo done >&2'], { input });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: 'done\n' });
    assert.match(stdout.subarray(0, 5).toString(), /^2\d{3}\n$/);
    assert.ok(stdout.subarray(5).equals(input), `${stdout.length - 5} of ${input.length} bytes came back as they were`);
  });

  it('file systems a, identity a: the host’s root alone; the caller, without a capability', async () => {
    const found = await look([], {
      ...IDENTITY,
      host: 'head -n 1 /etc/passwd',
      write: 'touch /usr/was-here 2>&1 | grep -oE "Read-only|Permission denied"',
      directory: 'pwd',
    });
    const { uid, username, home } = runner();
    assert.equal(found.host, readFileSync('/etc/passwd', 'utf8').split('\n')[0]);
    assert.notEqual(found.write, '');
    assert.equal(found.ids, `${uid} ${process.geteuid?.() === uid ? process.getegid?.() : 65_534}`);
    assert.equal(found.variables, `${username} ${username} ${home}`);
    assert.deepEqual([found.capabilities, found.bounding], [NO_CAPABILITY, NO_CAPABILITY]);
    assert.equal(found.directory, runner().directory);
  });

  it('file systems b, includes a, c and e: a directory of the host on /tmp; a file, a directory and a list of files copied into it', async (t) => {
    const directory = scratchDirectory(t);
    const tmp = runner().own(join(directory, 'tmp'));
    const found = await look([`-mhost-bind:/tmp=${tmp}`, ...includes(directory), '-I', list(directory)], CONTENT);
    assert.deepEqual(found, COPIED);
    assert.equal(readFileSync(join(tmp, 'foo'), 'utf8'), 'foo of the host\n');
    assert.equal(readFileSync(join(tmp, 'written'), 'utf8'), 'inside\n');
  });

  it('file systems c and d, includes b, d and f: a fresh directory on /tmp, and one of the host on /home; a file, a directory and a list of files copied into the fresh one', async (t) => {
    const directory = scratchDirectory(t);
    const home = runner().own(join(directory, 'home'));
    writeFileSync(join(home, 'of-host'), '');
    const mounts = [`-mhost-bind:/home=${home}`, '-mhost-bind:/tmp='];
    const found = await look([...mounts, ...includes(directory), '-I', list(directory)], {
      ...CONTENT,
      home: 'ls /home',
      writeHome: 'echo inside > /home/of-guest',
      writeTmp: 'echo x > /tmp/y && cat /tmp/y',
    });
    assert.deepEqual(found, { ...COPIED, home: 'of-host', writeHome: '', writeTmp: 'x' });
    assert.equal(readFileSync(join(home, 'of-guest'), 'utf8'), 'inside\n');
  });

  it('file systems e and f: a disk image on /home, and a block device on /mnt', {
    skip: unlessProgram('mkfs.ext4', 'losetup'),
  }, async (t) => {
    const directory = scratchDirectory(t);
    const file = runner().own(image(directory, 'home'));
    const device = loopDevice(t, image(directory, 'block'));
    const block = device === undefined ? [] : [`-mhost-image:/mnt=${runner().own(device)}`];
    const found = await look([`-mhost-image:/home=${file}`, ...block], {
      label: 'cat /home/label',
      type: 'grep " /home " /proc/mounts | cut -d" " -f3',
      block: 'cat /mnt/label',
    });
    assert.deepEqual([found.label, found.type], ['home', 'ext4']);
    if (device === undefined) return t.skip('the host has no loop device to spare');
    assert.equal(found.block, 'block');
  });

  it('file systems g, identity d: root, with all capabilities; a disk image on /mnt, and its directories on /home and /tmp', {
    skip: unlessProgram('mkfs.ext4'),
  }, async (t) => {
    const file = runner().own(image(scratchDirectory(t), 'both', 'home', 'tmp'));
    const mounts = [`host-image:/mnt=${file}`, 'guest-bind:/home=/mnt/home', 'guest-bind:/tmp=/mnt/tmp'];
    const { write, read, capabilities, bounding, ...who } = await look(
      ['-p', ...mounts.flatMap((mount) => ['-m', mount])],
      {
        ...IDENTITY,
        write: 'echo in home > /home/x; echo in tmp > /tmp/x',
        read: 'cat /mnt/label /mnt/home/x /mnt/tmp/x',
      },
    );
    assert.deepEqual({ write, read }, { write: '', read: 'both\nin home\nin tmp' });
    assert.deepEqual(who, { ids: '0 0', variables: 'root root /root' });
    assert.equal(capabilities, bounding);
    // All capabilities that this kernel knows; libvirt keeps some from containers, but not CAP_SYS_ADMIN.
    if (runner().uri === lxc.uri) assert.ok((BigInt(`0x${capabilities}`) & (1n << 21n)) !== 0n, capabilities);
    else assert.match(capabilities, /^0*[137]?f{9,}$/);
  });

  it('identity b: another user, without a capability', async () => {
    const found = await look(['-S', 'daemon'], IDENTITY);
    const [, , uid, gid, , home] = execFileSync('getent', ['passwd', 'daemon'], { encoding: 'utf8' }).split(':');
    assert.deepEqual(found, {
      ids: `${uid} ${gid}`,
      variables: `daemon daemon ${home}`,
      capabilities: NO_CAPABILITY,
      bounding: NO_CAPABILITY,
    });
  });

  it('identity c: root, without a capability', async () => {
    assert.deepEqual(await look(['-S', 'root'], IDENTITY), {
      ids: '0 0',
      variables: 'root root /root',
      capabilities: NO_CAPABILITY,
      bounding: NO_CAPABILITY,
    });
  });
}

/** What is copied: a file and a directory, and below them what a list names. */
function includes(directory: string): readonly string[] {
  writeFileSync(join(directory, 'foo'), 'foo of the host\n');
  mkdirSync(join(directory, 'bar/deep'), { recursive: true });
  writeFileSync(join(directory, 'bar/deep/file'), 'in the directory\n');
  return ['-i', `/tmp/foo=${directory}/foo`, '-i', `/tmp/bar=${directory}/bar`];
}

function list(directory: string): string {
  const path = join(directory, 'foolist');
  writeFileSync(path, `/tmp/listed/one=${directory}/foo\n/tmp/listed/two=${directory}/bar/deep/file\n`);
  return path;
}

const CONTENT = {
  file: 'cat /tmp/foo',
  directory: 'cat /tmp/bar/deep/file',
  list: 'cat /tmp/listed/one /tmp/listed/two',
  names: 'ls -A /tmp',
  write: 'echo inside > /tmp/written',
} as const;

const COPIED = {
  file: 'foo of the host',
  directory: 'in the directory',
  list: 'foo of the host\nin the directory',
  names: 'bar\nfoo\nlisted',
  write: '',
};

for (const way of [embedded, system, lxc]) {
  describe(`the plan over ${way.uri}`, { skip: way.skip || unlessProgram('virtiofsd'), concurrency: 2 }, () => {
    const { username } = userInfo();
    const home = process.env['HOME'] ?? userInfo().homedir;
    const runner: Runner = {
      ...way,
      uid: process.geteuid?.() ?? 0,
      username,
      home,
      directory: home,
      own: (path) => made(path),
    };
    plan(() => runner);
  });
}

describe('the plan over qemu:///session', { skip: unlessOrdinaryUser(), concurrency: 2 }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());
  plan(() => ({
    uri: 'qemu:///session',
    options: user.options,
    where: user.where,
    uid: user.uid,
    username: 'nobody',
    home: user.home,
    // /tmp, which is empty inside, covers it.
    directory: '/',
    own: (path) => {
      chownSync(made(path), user.uid, user.gid);
      return path;
    },
  }));
});

/** A path that exists: a directory, where nothing was. */
function made(path: string): string {
  try {
    closeSync(openSync(path, 'r'));
  } catch {
    mkdirSync(path);
  }
  return path;
}
