/** A daemon that accepts connections and never answers, like a stopped one: every connection attempt has a timeout. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { embedded } from '../helpers/connections.js';
import { mounted } from '../helpers/hide.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, REPOSITORY, runSandbox } from '../helpers/run.js';

/** In milliseconds: the limit of ten seconds, plus the delay of a loaded machine. */
const ENDS_MS = 40_000;

const SOCKET = '/run/libvirt/libvirt-sock';
const SERVER = `require("node:net").createServer({ allowHalfOpen: true }).listen("${SOCKET}")`;

/** The daemon's directory; it is removed with the program that runs there. */
const through = mounted(`
mount -t tmpfs none /run/libvirt
setpriv --pdeathsig KILL ${process.execPath} -e '${SERVER}' </dev/null >/dev/null 2>&1 &
until [ -S ${SOCKET} ]; do sleep 0.05; done`);

describe('a daemon that does not answer', { skip: embedded.skip, concurrency: 4 }, () => {
  for (const [uri, instead] of [
    ['qemu:///system', /leave out -c to do without a daemon/],
    ['lxc:///', /leave out -c for a virtual machine/],
  ] as const) {
    it(`is an error when it was named: ${uri}`, async () => {
      const name = uniqueName();
      const result = await runSandbox(['-c', uri, '-n', name, '--', '/bin/true'], { through, timeout: ENDS_MS });
      assertFailure(result, new RegExp(`the daemon of ${uri} has not answered within 10 s`), instead);
      await assertNothingLeft(name);
    });
  }

  it('is skipped when no URI was given', { skip: unlessServingKernel }, async () => {
    const name = uniqueName();
    const result = await runSandbox(['-v', '-n', name, '--', '/bin/echo', 'inside'], { through });
    assert.equal(result.code, 0, result.stderr);
    assert.equal(result.out, 'inside\n');
    assert.match(result.stderr, /the embedded driver, because .*the daemon of qemu:\/\/\/system has not answered/);
    await assertNothingLeft(name);
  });

  it('does not keep a process alive', () => {
    const module = pathToFileURL(`${REPOSITORY}build/src/libvirt/daemon.js`).href;
    // It must not call process.exit(), as in a program that imports the package.
    const script = `import('${module}').then(({ connectDaemon }) => connectDaemon('system')).catch((e) => console.log(e.code))`;
    const [program = '', ...args] = [...through, process.execPath, '-e', script];
    const result = spawnSync(program, args, { encoding: 'utf8', timeout: ENDS_MS });
    assert.deepEqual({ out: result.stdout, status: result.status }, { out: 'libvirt-silent\n', status: 0 });
  });
});
