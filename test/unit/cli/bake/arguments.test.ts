/** The command line of virt-sandbox-bake: how it is parsed, and its errors. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ago, columns, size } from '../../../../src/cli/output.js';
import { splitWords } from '../../../../src/cli/split-words.js';
import { runBake } from '../../../helpers/bake.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

describe('virt-sandbox-bake', () => {
  it('splits the options of a sandbox as a shell does', () => {
    assert.deepEqual(splitWords(`-e 'A=b  c' --disk "file:x=/a \\"b\\"" a\\ b '' -- sh -c "echo '$x'"`), [
      ...['-e', 'A=b  c', '--disk', 'file:x=/a "b"', 'a b', '', '--', 'sh', '-c', "echo '$x'"],
    ]);
    assert.deepEqual(splitWords('  '), []);
    assert.throws(() => splitWords(`-e "A=b`), /a quote " does not end/);
  });

  it('prints sizes, ages and columns', () => {
    assert.deepEqual([0, 999, 1000, 44_150_000, 2.5e12].map(size), ['0 B', '999 B', '1.0 kB', '44.1 MB', '2500.0 GB']);
    const now = 1e12;
    const ages = [0, 59, 60, 7200, 200_000].map((seconds) => ago(new Date(now - seconds * 1000), now));
    assert.deepEqual(ages, ['0 s ago', '59 s ago', '1 min ago', '2 h ago', '2 d ago']);
    assert.deepEqual(
      columns([
        ['a', 'bb'],
        ['ccc', ''],
      ]),
      ['a    bb', 'ccc'],
    );
  });

  it('reports an error in one line, and does nothing', async (context) => {
    const cache = scratchDirectory(context);
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [[], /no command was given/],
      [['bake'], /Unknown argument: bake/],
      [['create', 'x'], /Unknown argument: x/],
      [['create', '--nonsense'], /Unknown argument: nonsense/],
      [['create', '--compress', 'zip'], /--compress zip is not one of none, gzip, xz, zstd, lz4/],
      [['create', '--with', 'nonsense'], /no module set 'nonsense'/],
      [['create', '--common-init', 'moon'], /--common-init moon is neither host nor guest/],
      [['create', '--name', '../x'], /cannot be the name of an image/],
      [['create', '--for', '--nonsense'], /nonsense/],
      [['create', '--for', '--image web'], /--for cannot have --image web/],
      [['create', '--for', '--config /nonexistent.cfg'], /nonexistent\.cfg/],
      [['create', '--slots', 'mounts=1'], /--slots goes with --warm/],
      [['create', '-c', 'qemu:///embed'], /--connect goes with --warm/],
      [['show'], /Not enough non-option arguments/],
      [['verify'], /verify takes images or --all/],
      [['prune', '--older-than', 'ages'], /--older-than ages is not a number/],
      [['show', 'nothing'], /there is no image nothing/],
      [
        ['ls', './nothing'],
        /there is no file and no directory \.\/nothing; name an initrd, or the directory of an image/,
      ],
      [['ls', ''], /there is no image '' in .* --name NAME;/],
      [['create', '--name', 'a\nb'], /'a\\nb' cannot be the name of an image/],
      [['create', '--profile', ''], /there is no profile ''/],
      [['ls', join(process.cwd(), 'package.json')], /cannot be read as an initrd: at byte 0 is neither/],
      [['rm', 'nothing'], /there is no image nothing/],
    ];
    for (const [args, pattern] of wrong) {
      const { code, out, stderr } = await runBake(cache, args);
      assert.deepEqual({ code, out }, { code: 125, out: '' }, args.join(' '));
      assert.match(stderr, /^virt-sandbox-bake: [a-z]+: [^\n]+; [^\n]+\n$/, args.join(' '));
      assert.match(stderr, pattern);
    }
  });

  it('accepts an empty store', async (context) => {
    const cache = scratchDirectory(context);
    const list = await runBake(cache, ['list']);
    assert.deepEqual({ code: list.code, out: list.out }, { code: 0, out: '' });
    assert.equal((await runBake(cache, ['list', '--json'])).out, '[]\n');
    assert.equal((await runBake(cache, ['prune'])).out, '0 images removed, 0 B\n');
    assert.equal((await runBake(cache, ['verify', '--all'])).out, '');
  });
});
