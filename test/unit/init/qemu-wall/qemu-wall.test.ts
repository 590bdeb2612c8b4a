/** What qemu-wall leaves a QEMU, without a machine: bash takes QEMU's place. */

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { hostProgram } from '../../../../src/util/programs.js';
import { unlessProgram } from '../../../helpers/images.js';
import { REPOSITORY } from '../../../helpers/run.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** A directory as libvirt's QEMU would find it, with files to attack. */
function makeGround(t: TestContext) {
  const directory = scratchDirectory(t);
  symlinkSync(hostProgram('qemu-wall'), join(directory, 'qemu-wall'));
  symlinkSync('/bin/bash', join(directory, 'qemu'));
  for (const name of ['given', 'other']) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'file'), `${name}\n`);
  }
  const at = (name: string) => join(directory, name);
  return { at, report: ['report', at('report')] };
}

type Ground = ReturnType<typeof makeGround>;

/** Runs a script. @param rules undefined: libvirt asks what QEMU can do */
function run({ at }: Ground, rules: readonly string[] | undefined, script: string, ...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(at('qemu-wall'), ['-c', script, ...words], options({ at }, rules));
  return { status, stdout, stderr };
}

/** The same beside servers of this process. */
function runBeside({ at }: Ground, rules: readonly string[], words: readonly string[]) {
  return promisify(execFile)(at('qemu-wall'), ['-c', ...words], options({ at }, rules));
}

function options({ at }: Pick<Ground, 'at'>, rules: readonly string[] | undefined) {
  if (rules) writeFileSync(at('rules'), rules.map((word) => `${word}\0`).join(''));
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', ...(rules ? { VIRT_SANDBOX_WALL: at('rules') } : {}) };
  return { encoding: 'utf8', env, cwd: '/' } as const;
}

/** The version of Landlock. Without it nothing is refused, and the tests say that. */
function versionOf({ at }: Ground): number {
  return Number(readFileSync(at('report'), 'utf8'));
}

/** What each script did, `yes` or `no`. */
function tries(scripts: readonly string[]): string {
  return scripts.map((script) => `if { ${script}; } 2>/dev/null >&2; then echo yes; else echo no; fi`).join('\n');
}

describe('qemu-wall', () => {
  it('is QEMU as it is without rules', (t) => {
    const ground = makeGround(t);
    const { status, stdout } = run(ground, undefined, `cat ${ground.at('other/file')}; echo "$BASH"; exit 7`);
    assert.deepEqual([status, stdout], [7, `other\n${realpathSync('/bin/bash')}\n`]);
    assert.ok(!existsSync(ground.at('report')));
  });

  it('leaves what the rules name', (t) => {
    const ground = makeGround(t);
    const { at, report } = ground;
    const scripts = [
      `cat ${at('given/file')}`,
      `echo x >${at('given/new')} && mkdir ${at('given/d')} && mv ${at('given/new')} ${at('given/d/moved')}`,
      `cat ${at('other/file')}`,
      `echo x >${at('other/file')}`,
      `ls ${at('.')}`,
      `rm ${at('other/file')}`,
      `ln ${at('other/file')} ${at('given/link')}`,
      'cat /etc/passwd',
      'echo x >/dev/null',
      'cat /proc/self/status',
    ];
    const { stdout, stderr } = run(ground, [...report, 'write', at('given')], tries(scripts));
    const walled = ['yes', 'yes', 'no', 'no', 'no', 'no', 'no', 'yes', 'yes', 'no'];
    const expected = versionOf(ground) === 0 ? scripts.map(() => 'yes') : walled;
    assert.deepEqual(stdout.trimEnd().split('\n'), expected, stderr);
  });

  it('reads and does not write where a rule says so', (t) => {
    const ground = makeGround(t);
    const { at, report } = ground;
    const scripts = [`cat ${at('given/file')}`, `echo x >>${at('given/file')}`, `cat ${at('other/file')}`];
    const { stdout } = run(ground, [...report, 'read', at('given/file')], tries(scripts));
    assert.deepEqual(stdout, versionOf(ground) === 0 ? 'yes\nyes\nyes\n' : 'yes\nno\nno\n');
    const { at: there, report: other } = makeGround(t);
    const all = run({ at: there, report: other }, [...other, 'read-all'], tries([`cat ${there('other/file')}`]));
    assert.equal(all.stdout, 'yes\n');
  });

  it('signals nobody outside', (t) => {
    const ground = makeGround(t);
    const scripts = ['kill -0 $$', 'kill -0 $PPID'];
    const { stdout } = run(ground, ground.report, tries(scripts));
    assert.equal(stdout, versionOf(ground) >= 6 ? 'yes\nno\n' : 'yes\nyes\n');
  });

  it('connects in place of QEMU, which cannot', async (t) => {
    const ground = makeGround(t);
    const { at, report } = ground;
    const server = createServer((socket) => socket.end('word\n')).listen(at('a,b"c'));
    t.after(() => server.close());
    await once(server, 'listening');
    const [doubled, quoted] = [at('a,,b"c'), JSON.stringify(at('a,b"c'))];
    const words = [
      '-chardev',
      `socket,id=charchannel0,path=${doubled}`,
      '-chardev',
      `socket,id=last,path=${doubled},reconnect=0`,
      '-netdev',
      `{"type":"stream","id":"passt0","server":false,"addr":{"type":"unix","path":${quoted}}}`,
      // Neither of these is a connection.
      '-chardev',
      'socket,id=charmonitor,fd=9,server=on,wait=off',
      '-name',
      `socket,id=a,path=${doubled}`,
    ];
    const script = `printf '%s\\n' "$@"; for fd in 3 4 5; do cat <&$fd; done
      for kind in tcp udp; do (exec 6<>/dev/$kind/127.0.0.1/9) && echo connected; done; true`;
    const { stdout, stderr } = await runBeside(ground, report, [script, 'qemu', ...words]);
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      '-chardev',
      'socket,id=charchannel0,fd=3',
      '-chardev',
      'socket,id=last,fd=4,reconnect=0',
      '-netdev',
      '{"type":"stream","id":"passt0","server":false,"addr":{"type":"fd","str":"5"}}',
      ...words.slice(6),
      'word',
      'word',
      'word',
    ]);
    assert.equal(stderr.match(/socket: Permission denied/g)?.length, 2, stderr);
  });

  it('refuses calls that reach other programs of the user', { skip: unlessProgram('gcc') }, async (t) => {
    const ground = makeGround(t);
    const { at, report } = ground;
    const source = join(REPOSITORY, 'test/hostile/programs/refused-calls.c');
    execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', at('calls'), source]);
    rmSync(at('qemu'));
    symlinkSync(at('calls'), at('qemu'));
    const victim = spawn(at('calls'), [at('datagrams')], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => victim.kill('SIGKILL'));
    await once(victim.stdout, 'data');
    const words = [String(victim.pid), at('datagrams')];
    const outcome = (program: string, rules: readonly string[] | undefined) =>
      spawnSync(program, words, options(ground, rules)).stdout.trimEnd().split('\n');
    const names = (isRefused: boolean, lines: readonly string[]) =>
      lines.filter((line) => line.endsWith(' EACCES') === isRefused).map((line) => line.split(' ')[0]);
    const own = ['own-stream-pair', 'own-limit-read', 'own-limit-set', 'own-scheduler'];
    assert.deepEqual(names(true, outcome(at('calls'), undefined)), []);
    const walled = outcome(at('qemu-wall'), report);
    assert.deepEqual(names(false, walled), own);
    assert.ok(walled.length > 40, walled.join());
    // A QEMU that is the network itself makes sockets.
    const network = outcome(at('qemu-wall'), ['report', at('another'), 'network']);
    const pairs = ['socket', 'datagram-pair', 'flagged-datagram-pair', 'sequential-pair'];
    assert.deepEqual(names(false, network).slice(0, 8), [...own, ...pairs]);
  });

  it('names a socket that nobody listens on', (t) => {
    const ground = makeGround(t);
    const { at, report } = ground;
    const { status, stdout, stderr } = run(
      ground,
      report,
      'echo started',
      '-chardev',
      `socket,id=a,path=${at('none')}`,
    );
    assert.deepEqual([status, stdout, stderr], [127, '', `qemu-wall: ${at('none')}: No such file or directory\n`]);
  });

  it('refuses sockets where the kernel has no Landlock too', { skip: unlessProgram('enosys') }, (t) => {
    const ground = makeGround(t);
    const { at, report } = ground;
    const script = tries([`cat ${at('other/file')}`, 'exec 6<>/dev/udp/127.0.0.1/9']);
    const words = ['-s', 'landlock_create_ruleset', at('qemu-wall'), '-c', script];
    const { stdout } = spawnSync('enosys', words, options({ at }, report));
    assert.equal(stdout, 'yes\nno\n');
    assert.equal(versionOf(ground), 0);
  });

  it('leaves sockets to a QEMU with a network of its own', (t) => {
    const ground = makeGround(t);
    const { stdout } = run(ground, [...ground.report, 'network'], tries(['exec 6<>/dev/udp/127.0.0.1/9']));
    assert.equal(stdout, 'yes\n');
  });

  it('changes modes, times and attributes of files only where files may be changed', (t) => {
    const ground = makeGround(t);
    const { at, report } = ground;
    const scripts = [`chmod 600 ${at('other/file')}`, `touch -c ${at('other/file')}`];
    assert.equal(run(ground, report, tries(scripts)).stdout, 'no\nno\n');
    const { at: there, report: other } = makeGround(t);
    const all = run({ at: there, report: other }, [...other, 'metadata'], tries([`chmod 600 ${there('other/file')}`]));
    assert.equal(all.stdout, 'yes\n');
  });

  it('keeps a QEMU with a user of its own from changing modes, and leaves it the rest', (t) => {
    const ground = makeGround(t);
    const { at } = ground;
    const scripts = [
      `cat ${at('other/file')}`,
      `echo x >>${at('other/file')}`,
      'exec 6<>/dev/udp/127.0.0.1/9',
      `chmod 4755 ${at('other/file')}`,
      `touch -c ${at('other/file')}`,
    ];
    const { stdout, stderr } = run(ground, ['calls-only'], tries(scripts));
    assert.deepEqual(stdout, 'yes\nyes\nyes\nno\nno\n', stderr);
    assert.ok(!existsSync(at('report')));
  });

  it('allows the root where there is no view of it', (t) => {
    const ground = makeGround(t);
    const { at, report } = ground;
    symlinkSync(at('given'), at('root'));
    const script = tries([`cat ${at('root/file')}`, `echo x >${at('root/file')}`]);
    const { stdout } = run(ground, [...report, 'root', at('root')], script);
    assert.equal(stdout, versionOf(ground) === 0 ? 'yes\nyes\n' : 'yes\nno\n');
  });

  it("allows the directory of libvirt's memory and key, and none above, whatever JSON escapes", (t) => {
    const attempt = (directory: string, file = 'pc.ram') => {
      const ground = makeGround(t);
      const { at, report } = ground;
      const there = at(`given/${directory}`);
      mkdirSync(there);
      writeFileSync(join(there, 'key'), '');
      const scripts = [`echo x >'${there}/pc.ram'`, `cat '${there}/key'`, `echo x >${at('given/file')}`];
      const memory = { 'qom-type': 'memory-backend-file', id: 'pc.ram', 'mem-path': join(there, file), share: true };
      const secret = { 'qom-type': 'secret', id: 'masterKey0', format: 'raw', file: join(there, 'key') };
      const words = [memory, secret].map((each) => JSON.stringify(each));
      const { stdout } = run(ground, report, tries(scripts), ...words);
      return versionOf(ground) === 0 ? 'no Landlock' : stdout.trimEnd().split('\n').join(' ');
    };
    const found = ['plain', 'a"b', 'a\\', 'a\nb'].map((name) => attempt(name)).concat(attempt('plain', 'other'));
    const walled = ['yes yes no', 'yes yes no', 'yes yes no', 'no no no', 'no yes no'];
    assert.deepEqual(found, found[0] === 'no Landlock' ? found.map(() => 'no Landlock') : walled);
  });

  it('starts nothing with rules that it cannot carry out', (t) => {
    const ground = makeGround(t);
    const { at, report } = ground;
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ['Invalid argument', []],
      ['Invalid argument', ['read', '/etc']],
      ['Invalid argument', [...report, 'read']],
      ['Invalid argument', [...report, 'read', 'etc']],
      ['Invalid argument', [...report, 'erase', '/etc']],
      ['No such file or directory', ['report', at('missing/report')]],
    ];
    for (const [reason, rules] of cases) {
      const { status, stdout, stderr } = run(ground, rules, 'echo started');
      assert.deepEqual([status, stdout], [127, ''], rules.join(' '));
      assert.match(stderr, new RegExp(`^qemu-wall: /.*: ${reason}\n$`));
    }
    // A report is there already: two QEMUs would share a state directory.
    writeFileSync(at('report'), '');
    assert.equal(run(ground, report, 'echo started').status, 127);
  });

  it('takes no root for a view that nothing is mounted on', (t) => {
    const ground = makeGround(t);
    const { at, report } = ground;
    symlinkSync(`/proc/self/cwd${at('given')}`, at('root'));
    const { status, stderr } = run(ground, [...report, 'root', at('root')], 'echo started');
    assert.equal(status, versionOf(ground) === 0 ? 0 : 127);
    assert.match(stderr, versionOf(ground) === 0 ? /^$/ : /^qemu-wall: \/.*\/root: .*ross-device link\n$/);
  });
});
