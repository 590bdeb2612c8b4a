/** The search for leftovers of `make soak` finds each kind of thing that a sandbox could leave. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openPair } from '../../helpers/pty.js';
import { scratchDirectory, unlessRoot } from '../../helpers/scratch.js';
import { describeLeft, type Kind, leftSince, type Places, takeSnapshot, withTerminal } from '../../soak/leftovers.js';

const NOWHERE: Places = {
  isOurs: () => false,
  daemons: () => [],
  directories: [],
  ignored: /\/kept$/,
  namespaces: [],
  name: 'soak-1',
  domains: [],
};

/** Finds one thing of this kind after `make`, and nothing after `remove`. @returns what was found */
async function assertFound(
  places: Partial<Places>,
  kind: Kind,
  make: () => unknown,
  remove: () => unknown,
): Promise<string> {
  const where = { ...NOWHERE, ...places };
  const before = await takeSnapshot(where);
  await make();
  const left = await leftSince(before, where, 0);
  await remove();
  assert.deepEqual(
    left.map((each) => each.kind),
    [kind],
  );
  assert.deepEqual(await leftSince(before, where, 5000), []);
  return left[0]?.what ?? '';
}

/** A process that runs `script`, and has said that it is ready. It ends with its input. */
async function ready(t: TestContext, script: string, ...through: readonly string[]): Promise<ChildProcess> {
  const [program = '', ...args] = [...through, 'sh', '-euc', `${script}\necho ready\nexec cat >/dev/null`];
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  assert.ok(child.stdout);
  await once(child.stdout, 'data');
  return child;
}

/** Runs a command in the namespaces of a process. */
function inside({ pid }: ChildProcess, ...command: readonly string[]): void {
  execFileSync('nsenter', ['--mount', '--net', '--target', `${pid}`, '--', ...command]);
}

const NAMESPACES = ['unshare', '--mount', '--net', '--propagation', 'private', '--'];

describe('the search for leftovers', () => {
  it('finds a process', async (t) => {
    let child: ChildProcess | undefined;
    const isOurs = ({ pid }: { pid: number }) => pid === child?.pid || pid === process.pid;
    const make = async () => {
      child = await ready(t, ':');
    };
    const what = await assertFound({ isOurs }, 'process', make, async () => {
      child?.kill('SIGKILL');
      if (child !== undefined) await once(child, 'exit');
    });
    // It says that it is ready just before it becomes cat. In the midst of that it has no arguments, only a [name].
    assert.match(what, /^\d+ \(parent \d+, \w\) \[?(?:sh|cat)\b/);
  });

  it('finds a directory, and says nothing of what is in it, or of what may be there', async (t) => {
    const directory = scratchDirectory(t);
    const made = join(directory, 'made');
    const make = () => {
      mkdirSync(made);
      writeFileSync(join(made, 'file'), '');
      writeFileSync(join(directory, 'kept'), '');
    };
    const what = await assertFound({ directories: [directory] }, 'file', make, () => rmSync(made, { recursive: true }));
    assert.equal(what, made);
  });

  /** What is found of a server that listens there, in a network of its own: other tests make sockets meanwhile. */
  async function foundOf(t: TestContext, ...address: readonly (string | number)[]): Promise<string> {
    const holder = await ready(t, 'ip link set lo up', ...NAMESPACES);
    const script = `require("net").createServer().listen(...${JSON.stringify(address)}, () => console.log("ready"))`;
    let server: ChildProcess | undefined;
    const make = async () => {
      const words = ['--net', '--target', `${holder.pid}`, '--', process.execPath, '-e', script];
      server = spawn('nsenter', words, { stdio: ['ignore', 'pipe', 'inherit'] });
      assert.ok(server.stdout);
      await once(server.stdout, 'data');
    };
    return assertFound({ namespaces: [holder.pid ?? 0] }, 'socket', make, () => server?.kill('SIGKILL'));
  }

  it('finds a socket', { skip: unlessRoot('it makes a network') }, async (t) => {
    const path = join(scratchDirectory(t), 'socket');
    assert.equal(await foundOf(t, path), path);
  });

  it('finds an address that somebody listens on', { skip: unlessRoot('it makes a network') }, async (t) => {
    assert.equal(await foundOf(t, 4711, '127.0.0.1'), `tcp 0100007F:${(4711).toString(16).toUpperCase()}`);
  });

  it('finds a mount', { skip: unlessRoot('it mounts') }, async (t) => {
    const directory = scratchDirectory(t);
    const holder = await ready(t, ':', ...NAMESPACES);
    const what = await assertFound(
      { namespaces: [holder.pid ?? 0] },
      'mount',
      () => inside(holder, 'mount', '-t', 'tmpfs', 'left', directory),
      () => inside(holder, 'umount', directory),
    );
    assert.equal(what, `${directory} tmpfs left`);
  });

  it('finds a network interface', { skip: unlessRoot('it makes one') }, async (t) => {
    const holder = await ready(t, ':', ...NAMESPACES);
    const make = () => inside(holder, 'ip', 'tuntap', 'add', 'left0', 'mode', 'tap');
    const remove = () => inside(holder, 'ip', 'link', 'delete', 'left0');
    assert.equal(await assertFound({ namespaces: [holder.pid ?? 0] }, 'interface', make, remove), 'left0');
  });

  it('finds a control group', { skip: unlessRoot('it mounts') }, async (t) => {
    const holder = await ready(t, 'mount -t tmpfs groups /sys/fs/cgroup', ...NAMESPACES);
    const group = '/sys/fs/cgroup/cpu/machine/lxc-1-soak-1.libvirt-lxc';
    const make = () => inside(holder, 'mkdir', '-p', group);
    const remove = () => inside(holder, 'rmdir', group);
    const what = await assertFound({ namespaces: [holder.pid ?? 0] }, 'control group', make, remove);
    assert.equal(what, `/proc/${holder.pid}/root${group}`);
  });

  it('finds a namespace that a daemon keeps', { skip: unlessRoot('it makes namespaces') }, async (t) => {
    const keepers = [process.pid];
    let keeper: ChildProcess | undefined;
    const make = async () => {
      // It leaves the namespace, and keeps it by a descriptor alone.
      const back = `exec nsenter --uts --target ${process.pid} sh -c 'echo ready; exec cat >/dev/null'`;
      keeper = await ready(t, `exec 9</proc/self/ns/uts; ${back}`, 'unshare', '--uts', '--');
      keepers.push(keeper.pid ?? 0);
    };
    const what = await assertFound({ daemons: () => keepers }, 'namespace', make, async () => {
      keeper?.kill('SIGKILL');
      if (keeper !== undefined) await once(keeper, 'exit');
    });
    // It says that it is ready just before it becomes cat.
    assert.match(what, /^uts:\[\d+\], kept by \d+ (?:sh|cat)$/);
  });

  it('finds a domain', async () => {
    let domains = ['other'];
    const make = () => {
      domains = ['other', 'soak-1'];
    };
    const what = await assertFound({ domains: [async () => domains] }, 'domain', make, () => {
      domains = ['other'];
    });
    assert.equal(what, 'soak-1');
  });

  it('finds a terminal that is left raw', async (t) => {
    const { master, slave } = openPair({ rows: 24, columns: 80 });
    t.after(() => [master, slave].forEach(closeSync));
    const stty = (...args: string[]) =>
      execFileSync('stty', args, { stdio: [slave, 'pipe', 'inherit'], encoding: 'utf8' }).trim();
    const settings = stty('-g');
    const before = withTerminal(await takeSnapshot(NOWHERE), settings);
    const where = { ...NOWHERE, terminal: () => stty('-g') };
    assert.deepEqual(await leftSince(before, where, 0), []);
    stty('raw', '-echo');
    const left = await leftSince(before, where, 0);
    assert.match(describeLeft(left).join(), /^terminal left: its settings are [0-9a-f:]+$/);
    stty(settings);
    assert.deepEqual(await leftSince(before, where, 0), []);
  });
});
