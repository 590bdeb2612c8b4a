/** What a program does with a screen, as it is handed on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Screen } from '../../../../src/sandbox/screen/screen.js';
import type { Input } from '../../../../src/sandbox/screen/types.js';
import { rejectsWith } from '../../../helpers/errors.js';

function screenThatKeeps(): { screen: Screen; sent: (readonly Input[])[] } {
  const sent: (readonly Input[])[] = [];
  const screen = new Screen({
    width: 800,
    height: 600,
    vncSocket: undefined,
    spiceSocket: undefined,
    listening: undefined,
    takePicture: () => Promise.reject(new Error('not here')),
    resize: async () => assert.fail('not asked for'),
    enter: async (inputs) => void sent.push(inputs),
  });
  return { screen, sent };
}

describe('a screen', () => {
  it('hands on a long text in parts', async () => {
    const { screen, sent } = screenThatKeeps();
    await screen.type('a'.repeat(150));
    assert.deepEqual(
      sent.map(({ length }) => length),
      [64, 64, 22],
    );
    await screen.type('');
    assert.equal(sent.length, 3);
  });

  it('moves before it clicks', async () => {
    const { screen, sent } = screenThatKeeps();
    await screen.click(799, 0, { button: 'right', count: 2 });
    const once = [true, false].map((down) => ({ type: 'button', button: 'right', down }));
    assert.deepEqual(sent, [[{ type: 'move', x: 799, y: 0 }, ...once, ...once]]);
  });

  for (const [x, y] of [
    [800, 0],
    [0, 600],
    [-1, 0],
    [Number.NaN, 0],
    [0, Number.POSITIVE_INFINITY],
  ] as const)
    it(`has no point ${x},${y}`, async () => {
      await rejectsWith(screenThatKeeps().screen.move(x, y), 'point-outside', /800x600/);
    });

  for (const count of [0, 4, 1.5])
    it(`is not clicked ${count} times`, async () => {
      await rejectsWith(screenThatKeeps().screen.click(1, 1, { count }), 'click-invalid');
    });
});
