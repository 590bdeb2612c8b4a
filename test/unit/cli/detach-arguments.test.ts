/** --detach and --timeout on the command line. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { timeLimitOf } from '../../../src/cli/sandbox/wishes.js';
import { checkTogether, parseArguments } from '../../../src/cli/sandbox-arguments.js';

describe('--detach', () => {
  it('does not go with what starts nothing', () => {
    const refused: readonly (readonly [readonly string[], RegExp])[] = [
      [['--dry-run'], /cannot go with --dry-run$/],
      [['--print-xml', '--save-config', 'f'], /cannot go with --save-config, --print-xml$/],
      [['--attach', 'web'], /^--attach starts nothing and cannot go with --detach$/],
      [['--attach', 'web', '--timeout', '5'], /cannot go with --detach, --timeout$/],
    ];
    for (const [words, message] of refused) {
      const request = parseArguments(['--detach', ...words]);
      assert.ok('run' in request);
      assert.throws(() => checkTogether(request.run), { code: 'usage', message });
    }
  });
});

describe('--timeout', () => {
  it('is a duration, or seconds', () => {
    const limits = { '500ms': 500, '2s': 2000, '1.5m': 90_000, '1h': 3_600_000, '30': 30_000, '0.5': 500 };
    for (const [timeout, limit] of Object.entries(limits)) assert.equal(timeLimitOf({ timeout, command: [] }), limit);
    assert.equal(timeLimitOf({ command: [] }), undefined);
  });

  it('is no other text', () => {
    for (const timeout of ['', '0', '0.0001', '-1', '1d', 's', '1s ', '1e3', '1.', '.5', '1193h1', '1194h', 'Infinity'])
      assert.throws(() => timeLimitOf({ timeout, command: [] }), { code: 'duration-invalid' }, timeout);
  });
});
