/** How the script that starts systemd asks it to end, when it does not take jobs yet, and when it does. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, closeSync, constants, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { constants as os } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HALT_NOW, SYSTEMD_CGROUP, SYSTEMD_DIRECTORY, startScript } from '../../../../init/common/systemd-scripts.js';
import { valueOr } from '../../../../src/util/errors.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/**
 * Where systemd would be, this says which signals it gets. SIGRTMIN+3 is 37; it does not halt in order. It ends as a
 * systemd that has halted.
 */
const ASKED = `#!/bin/sh
trap 'echo in order >>"$SAID"' 37
trap 'echo now >>"$SAID"; exit 130' ${HALT_NOW}
echo set >>"$SAID"
while :; do sleep 0.1; done
`;

const PATIENCE_MS = 20_000;

class Started {
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #errors: Buffer[] = [];
  readonly #ended: Promise<number | null>;

  /**
   * @param change of the script
   * @param systemd what runs in its place
   */
  constructor(t: TestContext, shell: string, change = (script: string) => script, systemd = ASKED) {
    t.after(async () => {
      // What waits for the FIFO stays when the shell has ended.
      valueOr(() => process.kill(-this.#pid, 'SIGKILL'), false);
      await this.#ended;
    });
    this.#directory = scratchDirectory(t);
    for (const directory of ['bin', 'run', 'group']) mkdirSync(join(this.#directory, directory));
    writeFileSync(join(this.#directory, 'bin/unshare'), systemd);
    chmodSync(join(this.#directory, 'bin/unshare'), 0o755);
    execFileSync('mkfifo', [this.#fifo]);
    const script = change(startScript())
      .replaceAll(SYSTEMD_DIRECTORY, join(this.#directory, 'run'))
      .replaceAll(SYSTEMD_CGROUP, join(this.#directory, 'group'));
    const PATH = `${join(this.#directory, 'bin')}:${process.env['PATH']}`;
    const env = { PATH, SAID: this.#said };
    const child = spawn(shell, ['-c', script], { env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    child.stderr.on('data', (bytes: Buffer) => this.#errors.push(bytes));
    this.#ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  }

  /** Its status, and what it has written to stderr. */
  async end(): Promise<readonly [number | null, string]> {
    const late = sleep(PATIENCE_MS, undefined, { ref: false }).then(() =>
      assert.fail(`it goes on; it said ${this.said}`),
    );
    return [await Promise.race([this.#ended, late]), Buffer.concat(this.#errors).toString()];
  }

  get #pid(): number {
    return this.#child.pid ?? assert.fail('it was not started');
  }

  get #said(): string {
    return join(this.#directory, 'said');
  }

  get #fifo(): string {
    return join(this.#directory, 'run/up');
  }

  get said(): string {
    return existsSync(this.#said) ? readFileSync(this.#said, 'utf8') : '';
  }

  signal(signal: number): void {
    if (this.#child.exitCode === null) process.kill(this.#pid, signal);
  }

  /** As systemd does when it takes jobs. */
  openFifo(): number {
    return openSync(this.#fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  /** @param often what is done at each look */
  async until(said: RegExp, often: () => void = () => {}): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; !said.test(this.said); await sleep(50)) {
      assert.ok(Date.now() < end, `it has said ${JSON.stringify(this.said)}`);
      often();
    }
  }

  /** Who sees the file may send a signal. */
  async ready(): Promise<void> {
    await this.until(/^set$/m);
    const path = join(this.#directory, 'run/pid');
    for (const end = Date.now() + PATIENCE_MS; !existsSync(path); await sleep(10))
      assert.ok(Date.now() < end, `there is no ${path}`);
  }
}

describe('the script that starts systemd', () => {
  for (const shell of ['/bin/sh', '/bin/bash']) {
    const skip = !existsSync(shell) && `there is no ${shell}`;

    it(`ends with its status (${shell})`, { skip }, async (t) => {
      const started = new Started(t, shell, (script) => script, '#!/bin/sh\nexit 4\n');
      assert.deepEqual(await started.end(), [4, '']);
    });

    it(`asks it to halt in order when it takes jobs, and not before (${shell})`, { skip }, async (t) => {
      const started = new Started(t, shell);
      await started.ready();
      // Each ends a wait of the shell.
      for (let count = 1; count <= 20; count += 1) {
        started.signal(os.signals.SIGTERM);
        await sleep(10);
      }
      assert.doesNotMatch(started.said, /order/);
      const fd = started.openFifo();
      await started.until(/^in order$/m);
      closeSync(fd);
      started.signal(HALT_NOW);
      assert.deepEqual(await started.end(), [0, '']);
    });

    it(`asks it to halt at once also when it takes none (${shell})`, { skip }, async (t) => {
      const started = new Started(t, shell);
      await started.ready();
      started.signal(os.signals.SIGTERM);
      await started.until(/^now$/m, () => started.signal(HALT_NOW));
      assert.deepEqual(await started.end(), [0, '']);
    });

    it(`asks it to halt at once also when asked as it begins to wait for it (${shell})`, { skip }, async (t) => {
      // Where a signal comes once in thousands of times: between the start of a child and the next command.
      const started = new Started(t, shell, (script) =>
        script.replace('opening=$!', (next) => `kill -${HALT_NOW} $$; ${next}`),
      );
      await started.ready();
      started.signal(os.signals.SIGTERM);
      assert.deepEqual(await started.end(), [0, '']);
    });
  }
});
