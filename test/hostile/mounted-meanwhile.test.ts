/**
 * Promise: a home that `--home` hides from a container is not seen in another place either, though it is mounted there
 * while the container starts.
 * The attacker is the application, which looks wherever there are mounts. The victim is the caller, of whose home the
 * container was to have nothing.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { besideLxc, enterLxc, lxc } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { runSandbox } from '../helpers/run.js';

const ground = mkdtempSync('/var/tmp/virt-sandbox-meanwhile-');
const home = join(ground, 'home');
const open = join(ground, 'open');
/** Where those are mounted. */
const ofHome = join(ground, 'of-home');
const ofOpen = join(ground, 'of-open');
/** What the container's application says. */
const LOOK = `cat ${ofHome}/file ${ofOpen}/file 2>/dev/null; true`;
/** Whether that place is covered, and how much is seen there. */
const COUNT = `grep ' ${ofOpen} ' /proc/self/mountinfo | grep -c size=4k; ls -A ${ofOpen} | wc -l`;
/** Nearly always the mount comes before libvirt has bound what is there. */
const STARTS = 20;

/** A program that starts a container, and mounts both in the last moment before it asks libvirt for it. */
const STARTER = `
import { execFileSync } from 'node:child_process';
const [index, name, script, ...pairs] = process.argv.slice(1);
const { Sandbox } = await import(index);
const onProgress = (sentence) => {
  if (!sentence.startsWith('Starting domain ')) return;
  for (let pair = 0; pair < pairs.length; pair += 2) execFileSync('mount', ['--bind', ...pairs.slice(pair, pair + 2)]);
};
const sandbox = await Sandbox.start({ name, home: 'tmp', command: ['sh', '-c', script] }, { connect: 'lxc:///', onProgress });
sandbox.stdout.pipe(process.stdout);
sandbox.stderr.pipe(process.stderr);
process.exitCode = (await sandbox.exited).exitCode;
`;

function unmountAll(): void {
  for (const mount of [ofHome, ofOpen]) besideLxc('sh', '-c', 'while umount -l "$0" 2>/dev/null; do :; done', mount);
}

describe('a home that is mounted in another place while a container starts', { skip: lxc.skip }, () => {
  before(() => {
    chmodSync(ground, 0o755);
    for (const path of [home, open, ofHome, ofOpen]) mkdirSync(path, { mode: 0o755 });
    writeFileSync(join(home, 'file'), 'SECRET\n', { mode: 0o644 });
    writeFileSync(join(open, 'file'), 'OPEN\n', { mode: 0o644 });
  });
  afterEach(unmountAll);
  after(() => rmSync(ground, { recursive: true, force: true }));

  it('is seen nowhere, where that was no mount before', async () => {
    const name = uniqueName();
    const [program = '', ...words] = [
      ...[...enterLxc, 'env', `HOME=${home}`, process.execPath, '--input-type=module', '-e', STARTER, '--'],
      ...[new URL('../../src/index.js', import.meta.url).href, name, LOOK, home, ofHome, open, ofOpen],
    ];
    const out = execFileSync(program, words, { encoding: 'utf8', timeout: 120_000 });
    // It shows a directory that was mounted at the same time, so the other mount was there too.
    assert.equal(out, 'OPEN\n');
    await assertNothingLeft(name, lxc.where);
  });

  for (const overlay of [[], ['--overlay']])
    it(`is seen nowhere, where libvirt was told to bind another mount ${overlay.join(' ')}`, async (t) => {
      for (let start = 0; start < STARTS; start++) {
        const name = uniqueName();
        besideLxc('mount', '--bind', open, ofOpen);
        const mounting = mountAtStart(t, name, home, ofOpen);
        const args = ['-c', lxc.uri, '-n', name, '--home', 'tmp', ...overlay, '--', 'sh', '-c', `${COUNT}; ${LOOK}`];
        const { code, out, stderr } = await runSandbox(args, { ...lxc.options, env: { HOME: home } });
        await mounting.end();
        assert.equal(code, 0, stderr);
        await assertNothingLeft(name, lxc.where);
        unmountAll();
        // What covers the home is empty.
        if (out === '1\n0\n') return;
        assert.equal(out, '0\n1\nOPEN\n');
      }
      assert.fail(`of ${STARTS} starts none had its mount replaced`);
    });
});

/** Mounts when libvirt has begun to start the container, which was told to bind another mount. */
function mountAtStart(t: TestContext, name: string, from: string, at: string) {
  const log = `/var/log/libvirt/lxc/${name}.log`;
  const script = `while [ ! -e '${log}' ] && kill -0 ${process.pid}; do :; done; exec mount --bind '${from}' '${at}'`;
  const [program = '', ...words] = [...enterLxc, 'sh', '-c', script];
  const mounting = spawn(program, words, { stdio: 'inherit' });
  const exited = once(mounting, 'exit');
  t.after(() => mounting.kill('SIGKILL'));
  return {
    /** It has mounted, or is to do so no more. */
    end: async () => {
      await Promise.race([exited, sleep(1000)]);
      mounting.kill('SIGKILL');
      await exited;
    },
  };
}
