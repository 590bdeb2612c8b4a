/** How far a pull is: bars at a terminal, lines elsewhere. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { barLine, imageProgress } from '../../../../src/cli/terminal/image-progress.js';
import { type PullProgress, throttleProgress } from '../../../../src/oci/progress.js';
import { holdsDuring } from '../../../helpers/meanwhile.js';
import { testImage } from '../../../helpers/oci/image.js';
import { imageProgram } from '../../../helpers/oci/image-program.js';
import { imageIn, startRegistry, type TestRegistry } from '../../../helpers/oci/registry.js';
import { tarOf } from '../../../helpers/oci/tar.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal is controlled by them
const GONE = /\r\u001b\[K\u001b\[A\r\u001b\[K[^\n]*: pulled, /;

// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal is controlled by them
const CLEARED = /\r\u001b\[K\u001b\[A\r\u001b\[K$/;

describe('a bar', () => {
  const layer = { layer: 1, layers: 12, bytes: 12_345_678, size: 27_400_000 };
  for (const [width, line] of [
    [90, 'layer  2 of 12 [==================>                     ]  45%   12.3 MB of 27.4 MB'],
    [60, 'layer  2 of 12 [=======>         ]  45%   12.3 MB of 27.4 MB'],
    [45, 'layer  2 of 12  45%   12.3 MB of 27.4 MB'],
  ] as const)
    it(`fits in ${width} columns`, () => {
      const found = barLine(layer, width);
      assert.ok(found.length <= Math.max(width, 41), found);
      assert.equal(found, line);
    });

  it('is full at the end, also of a layer without bytes', () => {
    assert.match(barLine({ layer: 0, layers: 1, bytes: 5, size: 5 }, 80), /\[=+\] 100%/);
    assert.match(barLine({ layer: 0, layers: 1, bytes: 0, size: 0 }, 80), /\[=+\] 100%/);
  });
});

describe('what is told of a pull', () => {
  it('is each phase, the edges of each layer, and little in between', () => {
    const told: PullProgress[] = [];
    const tell = throttleProgress((progress) => told.push(progress));
    const layer = (number: number, bytes: number) =>
      tell({ phase: 'fetching', layer: number, layers: 2, bytes, size: 1000 });
    tell({ phase: 'asking' });
    for (let bytes = 0; bytes <= 1000; bytes += 1) for (const number of [0, 1]) layer(number, bytes);
    tell({ phase: 'merging' });
    assert.ok(told.length >= 6 && told.length < 1000, `${told.length}`);
    const edges = told.filter((one) => one.phase !== 'fetching' || one.bytes === 0 || one.bytes === 1000);
    assert.deepEqual(
      edges.map((one) => (one.phase === 'fetching' ? `${one.layer} ${one.bytes}` : one.phase)),
      ['asking', '0 0', '1 0', '0 1000', '1 1000', 'merging'],
    );
  });
});

describe('the bars', () => {
  /** A terminal that keeps what is written. */
  function terminal(columns: number) {
    const written: string[] = [];
    const stream = { isTTY: true, columns, write: (text: string) => written.push(text) > 0 };
    return { written, stream: stream as unknown as NodeJS.WriteStream };
  }

  it('are drawn ten times a second at most, and none after the end', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const { written, stream } = terminal(40);
    const progress = imageProgress(stream, { after: 500 });
    const tell = (bytes: number) => progress.show({ phase: 'fetching', layer: 0, layers: 2, bytes, size: 1000 });
    tell(1);
    context.mock.timers.tick(499);
    assert.equal(written.length, 0);
    context.mock.timers.tick(1);
    assert.equal(written.length, 1);
    for (let bytes = 2; bytes < 50; bytes += 1) {
      tell(bytes);
      context.mock.timers.tick(10);
    }
    assert.ok(written.length <= 6, `${written.length}`);
    for (const text of written)
      for (const line of text.split('\n')) assert.ok(line.replace(/[^ -~…]\[[KA]|\r/g, '').length < 40, line);
    progress.note('a line that stays');
    progress.clear();
    const { length } = written;
    tell(60);
    context.mock.timers.tick(1000);
    assert.equal(written.length, length);
    assert.match(written.join(''), /\na line that stays\n|Ka line that stays\n/);
  });

  it('give way to what is done when all layers are there', (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const { written, stream } = terminal(80);
    const progress = imageProgress(stream, { after: 0 });
    for (const phase of ['asking', 'merging', 'making'] as const) {
      progress.show({ phase });
      context.mock.timers.tick(100);
    }
    progress.clear();
    assert.deepEqual(
      written.map((text) => text.slice('\r\u001b[K'.length)),
      [
        'virt-sandbox: looking for the image…',
        'virt-sandbox: merging the layers…',
        'virt-sandbox: making the file system…',
        '',
      ],
    );
  });
});

describe('how far a pull is', () => {
  const large = testImage([tarOf({ name: 'a', data: randomBytes(300_000) }), tarOf({ name: 'b', data: 'x' })]);
  const [slow] = large.layers;

  /** A registry that sends a third of the first layer, and the rest when it is told to. */
  async function slowly(context: TestContext): Promise<{ registry: TestRegistry; goOn: () => void }> {
    const registry = await startRegistry(context);
    registry.add(large, 'v1');
    let goOn = () => {};
    registry.hook(({ path }, response) => {
      if (!path.endsWith(slow?.digest ?? '')) return false;
      response.writeHead(200, { 'content-length': slow?.size });
      response.write(slow?.bytes.subarray(0, 100_000));
      goOn = () => void response.end(slow?.bytes.subarray(100_000));
      return true;
    });
    return { registry, goOn: () => goOn() };
  }

  it('is a bar at a terminal, and gone at the end', async (context) => {
    const [program, { registry, goOn }] = [imageProgram(context), await slowly(context)];
    const terminal = program.atTerminal(['pull', imageIn(registry, 'v1')]);
    await terminal.until(
      /layer 1 of 2 \[=+> +\] {2}33% {2}100\.0 kB of \d+\.\d kB\r?\nvirt-sandbox-image: 1 of 2 layers, /,
    );
    goOn();
    await terminal.until(GONE);
    assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
  });

  it('is a bar of virt-sandbox, too', async (context) => {
    const [program, { registry, goOn }] = [imageProgram(context), await slowly(context)];
    const terminal = program.atTerminal(['run', imageIn(registry, 'v1')]);
    await terminal.until(/layer 1 of 2 \[=+> +\] {2}33% [^\n]*\nvirt-sandbox-image: 1 of 2 layers, [^\n]*$/);
    terminal.type('\u0003');
    assert.deepEqual(await terminal.exited(), { code: 130, signal: null });
    assert.match(terminal.text, CLEARED);
    goOn();
  });

  it('is a plain line elsewhere, and nothing with -q', async (context) => {
    const [program, { registry, goOn }] = [imageProgram(context), await slowly(context)];
    const running = program.start(['pull', imageIn(registry, 'v1')]);
    await running.untilError(/^virt-sandbox-image: fetching: \d of 2 layers, [\d.]+ k?B so far\n$/m);
    goOn();
    assert.equal((await running.result).code, 0);
    const quiet = await program.run(['pull', '-q', imageIn(registry, 'v1')]);
    assert.deepEqual([quiet.out, quiet.stderr], [`${large.manifest.digest}\n`, '']);
  });

  it('is interrupted by a signal, and goes on where it was', async (context) => {
    const [program, { registry, goOn }] = [imageProgram(context), await slowly(context)];
    const running = program.start(['pull', imageIn(registry, 'v1')]);
    const partial = join(program.store, 'partial', (slow?.digest ?? '').split(':')[1] ?? '');
    await holdsDuring(running.result, () => statSync(partial, { throwIfNoEntry: false })?.size === 100_000);
    running.child.kill('SIGINT');
    const { code, stderr } = await running.result;
    assert.equal(code, 130);
    assert.doesNotMatch(stderr, /;/);
    assert.equal(statSync(partial).size, 100_000);
    goOn();
  });
});
