/** Commands of virt-sandbox-image that a signal, or a reader that goes away, ends in the middle. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { lockFile } from '../../../../src/oci/lock.js';
import { holdsDuring } from '../../../helpers/meanwhile.js';
import { testImage } from '../../../helpers/oci/image.js';
import { imageProgram } from '../../../helpers/oci/image-program.js';
import { pulledImage } from '../../../helpers/oci/pulled-image.js';
import { imageIn, startRegistry } from '../../../helpers/oci/registry.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { REPOSITORY } from '../../../helpers/run.js';

const FILES = 8000;
/** One whose list is more than what a pipe and its reader take. */
const large = testImage([
  tarOf({ name: 'a', data: 'x' }),
  tarOf(...Array.from({ length: FILES }, (_, at) => ({ name: `${'n'.repeat(200)}${at}`, data: '' }))),
]);

describe('virt-sandbox-image diff', () => {
  it('ends by Ctrl+C while nobody reads its list', async (context) => {
    const [program, , name] = await pulledImage(context, large);
    const child = spawn(`${REPOSITORY}bin/virt-sandbox-image`, ['diff', name], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, XDG_CACHE_HOME: program.directory, HOME: program.directory },
    });
    context.after(() => child.kill('SIGKILL'));
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const ended = Promise.all([once(child, 'exit'), once(child.stderr, 'end')]);
    // It writes, and what it writes is not taken.
    await once(child.stdout, 'readable');
    child.kill('SIGINT');
    const [exit] = await ended;
    assert.deepEqual([exit, errors], [[130, null], '']);
  });
});

describe('a reader that goes away', () => {
  it('ends list and diff silently, as SIGPIPE would', async (context) => {
    const [program, , name] = await pulledImage(context, large);
    // The reader has ended before the first word is written.
    const script = 'exec 3> >(true); wait $!; "$@" >&3';
    for (const words of [['list'], ['list', '--json'], ['diff', name], ['diff', '--json', name]]) {
      const { code, stderr } = await program.run(words, { through: ['bash', '-c', script, 'bash'] });
      assert.deepEqual([code, stderr], [141, ''], words.join(' '));
    }
    assert.equal((await program.out('diff', name)).split('\n').length, FILES + 1);
  });
});

describe('a signal', () => {
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    for (const words of [['rm'], ['prune', '--all']])
      it(`${signal} ends virt-sandbox-image ${words.join(' ')}, which waits, and nothing is removed`, async (context) => {
        const [program, , name] = await pulledImage(context, testImage([tarOf({ name: 'a', data: 'x' })]));
        const pulling = await lockFile(join(program.store, 'lock'), 'shared');
        // One who is about to remove makes it again.
        rmSync(join(program.store, 'locks'), { recursive: true });
        const running = program.start(words.includes('rm') ? [...words, name] : words);
        await holdsDuring(running.result, () => existsSync(join(program.store, 'locks')));
        running.child.kill(signal);
        const { code, out, stderr } = await running.result;
        await pulling?.close();
        assert.deepEqual([code, out, stderr], [status, '', '']);
        assert.equal(await program.out('verify'), `${name} (linux/amd64): whole\n`);
      });
});

describe('a second signal', () => {
  it('leaves the terminal as it was, and a workspace that the next pull removes', async (context) => {
    const [program, registry] = [imageProgram(context), await startRegistry(context)];
    const image = testImage([tarOf({ name: 'a', data: 'x' })]);
    registry.add(image, 'v1');
    let isSlow = true;
    registry.hook(({ path }) => isSlow && path.endsWith(image.layers[0]?.digest ?? ''));
    const roots = join(program.store, 'roots');
    const workspaces = () => readdirSync(roots).filter((name) => name.startsWith('.build-'));
    const terminal = program.atTerminal(['pull', imageIn(registry, 'v1')]);
    await terminal.until(/virt-sandbox-image: 0 of 1 layer, 0 B…/);
    assert.equal(workspaces().length, 1);
    // Both are there before it can act on the first.
    for (const signal of ['SIGSTOP', 'SIGINT', 'SIGTERM', 'SIGCONT'] as const) terminal.child.kill(signal);
    assert.deepEqual(await terminal.exited(), { code: null, signal: 'SIGKILL' });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal is controlled by them
    assert.match(terminal.text, /\r\u001b\[K(?:\u001b\[A\r\u001b\[K)*$/);
    assert.equal(workspaces().length, 1);
    isSlow = false;
    await program.out('pull', imageIn(registry, 'v1'));
    assert.deepEqual(workspaces(), []);
  });
});
