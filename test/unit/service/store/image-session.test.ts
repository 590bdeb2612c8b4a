/** Calls to a machine that has an image, which answers nothing, too slowly, or with nonsense. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { encodePacket } from '../../../../src/protocol/packets.js';
import { MessageType, Proc, Status } from '../../../../src/protocol/wire.js';
import { ImageFiles } from '../../../../src/service/clone/image-files.js';
import { type Bounds, ImageSession } from '../../../../src/service/store/image-session.js';
import { ImageState } from '../../../../src/service/upgrade/image-state.js';
import type { Fresh } from '../../../../src/service/upgrade/state.js';
import type { SandboxError } from '../../../../src/util/errors.js';
import { LEAVE, layerRecord } from '../../../helpers/layer-records.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { exit, numbers, stream } from '../../protocol/guest.js';
import { fails, GUEST, LyingGuest, type Program, writes } from '../../sandbox/files/guest.js';

const LONG = 600_000;
const SHORT = 20;
const PATIENT: Bounds = { silence: LONG, file: LONG };
const SENT = [layerRecord({ name: 'file', uid: 0, gid: 0, size: 1n }), LEAVE];
const TOP = { mount: '', way: ['upper'] };
const OWN = { uid: 1, gid: 2, mode: 0o644 };

const silence: Program = () => [];

/** A machine whose programs do that, and others than `called` do as they should. */
function machine(t: TestContext, wanted: Bounds, does: Program, called: readonly string[] = []) {
  const bounds = { ...wanted };
  const guest: LyingGuest = new LyingGuest((process) => {
    const name = guest.started.at(-1)?.argv[0] ?? '';
    if (called.length === 0 || called.includes(name)) return does(process);
    if (name === 'write') return [];
    return name === 'layer' ? writes(...SENT)(process) : [exit(process)];
  });
  const isWriting = () => guest.started.at(-1)?.argv[0] === 'write' && !called.includes('write');
  guest.onStdinEnd = (process) => (isWriting() ? [exit(process)] : []);
  guest.onCall = (proc, serial) => [encodePacket(proc, MessageType.REPLY, Status.OK, serial, numbers(0))];
  guest.onSignal = () => [];
  t.after(() => guest.end());
  const session = new ImageSession({ name: 'fake', channel: guest.channel, guest: GUEST }, bounds);
  /** A state whose names it has sent; from then on it may be silent for a moment only. */
  const state = async () => {
    const known = await ImageState.of(session, '/nowhere');
    bounds.silence = SHORT;
    return known;
  };
  return { guest, session, state };
}

function says(code: string, path: string) {
  return (error: SandboxError) => {
    assert.deepEqual([error.stage, error.code], ['service', code], error.message);
    assert.ok(error.message.includes(JSON.stringify(path)), error.message);
    assert.match(error.remedy, /try it again.*older copy/);
    return true;
  };
}

/** Says a byte now and then, for ever. */
function drip(t: TestContext, guest: LyingGuest, process: number): Buffer[] {
  const timer = setInterval(() => guest.say(stream(Proc.STDOUT, process, Buffer.from('x'))), 1);
  t.after(() => clearInterval(timer));
  return [];
}

describe('a machine with an image that answers nothing', () => {
  it('ends the reading and replacing of a file for a clone', async (t) => {
    for (const called of ['stat', 'read', 'write']) {
      const { session } = machine(t, { ...PATIENT, silence: SHORT }, silence, [called]);
      const files = new ImageFiles(session);
      if (called === 'write')
        await assert.rejects(files.replace('/etc/hostname', 'web2\n'), says('service-image-silent', '/etc/hostname'));
      else if (called === 'stat')
        await assert.rejects(files.read('/etc/hostname'), says('service-image-silent', '/etc/hostname'));
      else
        await assert.rejects(
          session.file('/etc/hostname', (calls) => calls.read('/etc/hostname', 10)),
          says('service-image-silent', '/etc/hostname'),
        );
    }
  });

  it('ends each step of an upgrade', async (t) => {
    const copy = join(scratchDirectory(t), 'copy');
    writeFileSync(copy, 'content');
    const file: Fresh = { ...OWN, content: { type: 'file', path: copy } };
    const directory: Fresh = { ...OWN, content: { type: 'directory' } };
    const steps: readonly (readonly [string, (state: ImageState) => Promise<unknown>])[] = [
      ['remove', (state) => state.remove(TOP, ['gone'])],
      ['mkdir', (state) => state.put(TOP, ['gone'], directory)],
      ['write', (state) => state.put(TOP, ['gone'], file)],
      ['rename', (state) => state.put(TOP, ['gone'], file)],
    ];
    for (const [called, step] of steps) {
      const { state } = machine(t, PATIENT, silence, [called]);
      await assert.rejects(step(await state()), says('service-image-silent', '/gone'));
    }
    const { guest, ...silent } = machine(t, PATIENT, silence, ['read']);
    const state = await silent.state();
    await assert.rejects(state.open().fingerprint('file', 'md5'), says('service-image-silent', '/file'));
    guest.onCall = () => [];
    await assert.rejects(state.put(TOP, ['gone'], file), says('service-image-silent', '/gone'));
  });

  it('ends what may say nothing for long', async (t) => {
    for (const called of ['remove', 'mkdir']) {
      const { session } = machine(t, { ...PATIENT, file: SHORT }, silence, [called]);
      const state = await ImageState.of(session, '/nowhere');
      await assert.rejects(state.begin(), { code: 'service-image-slow' });
    }
    const { guest, session } = machine(t, { ...PATIENT, file: SHORT }, silence, ['nothing']);
    const state = await ImageState.of(session, '/nowhere');
    guest.onCall = () => [];
    await assert.rejects(state.end(), { code: 'service-image-slow' });
  });
});

describe('a machine with an image that is slow', () => {
  it('has only so much time for a file, however often it answers', async (t) => {
    const { guest, session } = machine(
      t,
      { ...PATIENT, file: SHORT },
      (process): readonly Buffer[] => drip(t, guest, process),
      ['read'],
    );
    const reading = session.file('/file', (calls) => calls.readPieces('/file', () => true));
    await assert.rejects(reading, says('service-image-slow', '/file'));
    const content = async function* () {
      for (;;) {
        yield Buffer.from('x');
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const writing = session.file('/file', (calls) => calls.write('/file', content()));
    await assert.rejects(writing, says('service-image-slow', '/file'));
  });

  it('has only so much time for all names', async (t) => {
    // The time for as many names as there is room for counts too.
    const { session } = machine(t, { ...PATIENT, file: SHORT - 2 ** 21 }, silence);
    await assert.rejects(session.layer(), says('service-image-slow', 'the names'));
  });

  it('has more time for more bytes, and all that it needs if it is not silent', async (t) => {
    const bounds = { silence: 1000, file: 1 };
    const { guest, session } = machine(t, bounds, (process): readonly Buffer[] => drip(t, guest, process), ['read']);
    const since = performance.now();
    const take = () => performance.now() - since < bounds.silence + 200;
    await session.file('/file', (calls) => calls.readPieces('/file', take), 2 ** 30);
  });
});

describe('a machine with an image that answers nonsense', () => {
  it('is a full disk of its own, and not of this host', async (t) => {
    const { state } = machine(t, PATIENT, fails('ENOSPC', 'write(/proc/1/fd/100/upgrade/x)'), [
      'remove',
      'mkdir',
      'rename',
    ]);
    const known = await state();
    await assert.rejects(known.begin(), (error: SandboxError) => {
      assert.deepEqual([error.stage, error.code], ['service', 'service-image-full'], error.message);
      assert.match(error.message, /no space is left in the image$/);
      assert.match(error.remedy, /remove in it what it does not need, or create it again with a larger --imagesize/);
      return true;
    });
  });

  it('is an error for people, whatever it answers', async (t) => {
    const copy = join(scratchDirectory(t), 'copy');
    writeFileSync(copy, 'content');
    const { guest, session } = machine(t, PATIENT, writes(Buffer.from('nonsense')), ['stat', 'remove']);
    const state = await ImageState.of(session, '/nowhere');
    await assert.rejects(new ImageFiles(session).read('/file'), { code: 'file-failed' });
    await assert.rejects(state.remove(TOP, ['file']), { code: 'file-failed' });
    const file: Fresh = { ...OWN, content: { type: 'file', path: copy } };
    guest.onCall = (proc, serial) => [encodePacket(proc, MessageType.REPLY, Status.SKIPPED, serial, numbers(0))];
    await assert.rejects(state.put(TOP, ['file'], file), says('service-image-failed', '/file'));
    const sync = () => session.file('/file', (calls) => calls.sync());
    await assert.rejects(sync(), says('service-image-failed', '/file'));
    guest.onCall = (proc, serial) => [encodePacket(proc, MessageType.REPLY, Status.ERROR, serial, Buffer.from('no'))];
    await assert.rejects(sync(), { code: 'guest-gone' });
  });
});
