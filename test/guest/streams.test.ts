/** Standard input and output, byte for byte. */

import assert from 'node:assert/strict';
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { embedded, lxc, system, type Way } from '../helpers/connections.js';
import { withoutFallback } from '../helpers/fallback.js';
import { assertNothingLeft, exceptLogs, uniqueName } from '../helpers/leftovers.js';
import { assertRun, environment, PROGRAM, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

const MIB = 1 << 20;

/** Bytes of every value, in random order. */
function noise(size: number): Buffer {
  return createCipheriv('aes-256-ctr', Buffer.alloc(32, 7), Buffer.alloc(16)).update(Buffer.alloc(size));
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Runs with streams that are no pipes of this process. */
function spawnThrough({ options }: Way, args: readonly string[], spawnOptions: SpawnOptions): ChildProcess {
  const [command = '', ...rest] = [...(options.through ?? []), PROGRAM, ...args];
  return spawn(command, rest, { ...spawnOptions, env: environment() });
}

for (const way of [embedded, system, lxc]) {
  describe(`streams over ${way.uri}`, { skip: way.skip, concurrency: 2 }, () => {
    // Several times what is on the way at once. One connection carries more.
    const size = way === embedded ? 10 : 3;
    it(`carries ${size} MiB from stdin to stdout unchanged`, async () => {
      const data = noise(size * MIB);
      const result = await runSandbox(['-c', way.uri, '--', 'cat'], { ...way.options, input: data });
      assert.equal(result.code, 0, result.stderr);
      assert.equal(result.stdout.length, data.length);
      assert.equal(sha256(result.stdout), sha256(data));
    });
  });
}

for (const way of [embedded, lxc])
  describe(`input and output over ${way.uri}`, { skip: way.skip, concurrency: 2 }, () => {
    const run = (...command: string[]) => runSandbox(['-c', way.uri, '--', ...command], way.options);

    it('passes on the end of /dev/null at once', async () => assertRun(await run('cat'), 0, ''));

    it('passes on the end of a pipe after its last byte, without a newline', async () => {
      assertRun(await runSandbox(['-c', way.uri, '--', 'cat'], { ...way.options, input: 'one\ntwo' }), 0, 'one\ntwo');
    });

    it('does not wait for the end of stdin when the command ends', async () => {
      assertRun(
        await runSandbox(['-c', way.uri, '--', 'echo', 'done'], { ...way.options, input: 'open', timeout: 60_000 }),
        0,
        'done\n',
      );
    });

    it('reads stdin from a file', async (t) => {
      const file = join(scratchDirectory(t), 'input');
      writeFileSync(file, noise(MIB));
      const child = spawnThrough(way, ['-c', way.uri, '--', 'sha256sum'], {
        stdio: [openSync(file, 'r'), 'pipe', 'inherit'],
      });
      let out = '';
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        out += text;
      });
      const code = await new Promise((resolve) => child.once('close', resolve));
      assert.deepEqual({ code, out }, { code: 0, out: `${sha256(noise(MIB))}  -\n` });
    });

    it('keeps stdout and stderr apart and complete when both are long', async () => {
      const script = 'seq 1 200000 & seq 200001 400000 >&2; wait';
      const result = await run('sh', '-c', script);
      const numbers = (from: number) => `${Array.from({ length: 200_000 }, (_, index) => from + index).join('\n')}\n`;
      assert.equal(result.code, 0);
      assert.ok(result.out === numbers(1), 'stdout is whole');
      assert.ok(result.stderr === numbers(200_001), 'stderr is whole');
    });

    it('delivers output written just before the end', async () => {
      const result = await run('head', '-c', String(2 * MIB), '/dev/zero');
      assert.equal(result.stdout.length, 2 * MIB);
    });

    it('reports an input that cannot be read', async () => {
      const directory = openSync('/', 'r');
      const child = spawnThrough(way, ['-c', way.uri, '--', 'cat'], {
        stdio: [directory, 'ignore', 'pipe'],
      });
      closeSync(directory);
      assert.ok(child.stderr);
      const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
      assert.equal(code, 125);
      assert.match(
        withoutFallback(stderr).text,
        /^virt-sandbox: application: standard input cannot be read: .*EISDIR.*; .+\n$/,
      );
    });

    it('ends when its output is closed', async () => {
      const name = uniqueName();
      const running = startSandbox(['-c', way.uri, '-n', name, '--', 'yes'], way.options);
      await running.until(/y\ny\n/);
      running.child.stdout?.destroy();
      const { code } = await running.result;
      // 128 + SIGPIPE, as `yes | head` has it in a shell.
      assert.equal(code, 141);
      // The command may have been ended before it could.
      await assertNothingLeft(name, exceptLogs(way.where));
    });

    it('waits for a slow reader and loses nothing', async () => {
      const running = startSandbox(['-c', way.uri, '--', 'head', '-c', String(8 * MIB), '/dev/zero'], way.options);
      running.child.stdout?.pause();
      await new Promise((resolve) => setTimeout(resolve, 6000));
      running.child.stdout?.resume();
      const { code, stdout } = await running.result;
      assert.deepEqual({ code, bytes: stdout.length }, { code: 0, bytes: 8 * MIB });
    });
  });
