/** The state in an image, as a machine tells it that may say anything. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { Proc } from '../../../../src/protocol/wire.js';
import type { Baseline } from '../../../../src/service/content/baseline.js';
import { ImageSession } from '../../../../src/service/store/image-session.js';
import { hiddenFiles } from '../../../../src/service/upgrade/hidden.js';
import { ImageState } from '../../../../src/service/upgrade/image-state.js';
import { LEAVE, layerDirectory, layerRecord, whiteout } from '../../../helpers/layer-records.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { exit, stream } from '../../protocol/guest.js';
import { fails, GUEST, LyingGuest, type Program, writes } from '../../sandbox/files/guest.js';

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** A machine that sends that layer, and what `read` does with files. */
async function machine(layer: readonly Buffer[], read: Program = () => assert.fail('nothing is read')) {
  const guest: LyingGuest = new LyingGuest((process) =>
    guest.started.at(-1)?.argv[0] === 'layer' ? writes(...layer)(process) : read(process),
  );
  const state = () =>
    ImageState.of(new ImageSession({ name: 'fake', channel: guest.channel, guest: GUEST }), '/nowhere');
  return { guest, state };
}

const own = (name: string, rest = {}) => layerRecord({ name, uid: 0, gid: 0, ...rest });

describe('a state in an image', () => {
  it('has the names, kinds and links of the layer, and reads one file of it', async () => {
    const etc = [
      own('file', { size: 4n }),
      whiteout('gone'),
      own('link', { mode: 0o120777, target: '/a b', size: 4n }),
    ];
    const pipe = own('pipe', { mode: 0o010644 });
    const { guest, state } = await machine([layerDirectory('etc', [...etc, pipe]), LEAVE], writes(Buffer.from('text')));
    const tree = (await state()).open();
    assert.deepEqual([...tree.names()], ['etc']);
    assert.equal(tree.enter('none'), false);
    assert.equal(tree.enter('etc'), true);
    const kinds = [...tree.names()].map((name) => `${tree.pathOf(name)} ${tree.look(name)?.kind}`);
    assert.deepEqual(kinds, ['/etc/file other', '/etc/gone whiteout', '/etc/link other', '/etc/pipe other']);
    const prints: string[] = [];
    for (const name of [...tree.names(), 'none']) prints.push(await tree.fingerprint(name, 'sha256'));
    assert.deepEqual(prints, [digestOf('text'), 'absent', 'link:/a b', 'other', 'absent']);
    assert.deepEqual(
      guest.started.slice(1).map(({ argv }) => argv),
      [['read', '/proc/1/fd/100/upper/etc/file']],
    );
    tree.close();
    guest.end();
  });

  it('reads no more of a file than one may have, whatever its size is said to be', async () => {
    const piece = Buffer.alloc(1 << 16);
    const endless: Program = (process) => Array.from({ length: 8 }, () => stream(Proc.STDOUT, process, piece));
    const { guest, state } = await machine([own('file', { size: 1n }), LEAVE], endless);
    let sent = 0;
    guest.onTaken = (process) => {
      for (let count = 0; count < 4; count += 1) guest.say(stream(Proc.STDOUT, process, piece));
      sent += 4 * piece.length;
    };
    guest.onSignal = (process, signal) => {
      guest.onTaken = () => {};
      return [exit(process, signal)];
    };
    assert.equal(await (await state()).open().fingerprint('file', 'md5'), 'other');
    assert.ok(sent > 1 << 20, `${sent} bytes`);
    guest.end();
  });

  it('has nothing where a file cannot be read any more, and is an error where it is no tree', async () => {
    const file = [own('file', { size: 1n }), LEAVE];
    const gone = await machine(file, fails('ENOENT', 'open(file)'));
    assert.equal(await (await gone.state()).open().fingerprint('file', 'md5'), 'absent');
    gone.guest.end();
    for (const layer of [[own('..'), LEAVE], [own('a/b'), LEAVE], [layerDirectory('etc', [])], [LEAVE, own('late')]]) {
      const { guest, state } = await machine(layer);
      await assert.rejects(state(), { code: 'overlay-unreadable' });
      guest.end();
    }
  });

  it('says nothing of files that its host has never had', async (context) => {
    const root = scratchDirectory(context);
    const { guest, state } = await machine([own('a\nb', { size: 1n }), own('\u001b[31m', { size: 1n }), LEAVE]);
    const nothing: Baseline = { files: new Map(), packaged: new Map() };
    const files = await hiddenFiles({ state: await state(), root, before: nothing, now: nothing, copied: [] });
    assert.deepEqual(files, []);
    guest.end();
  });
});
