/** Display servers that are given another size: a real compositor and a real X server, and some that lie. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { DisplayError, DisplayPeer } from '../../../../src/sandbox/screen/display-peer.js';
import { resizeWayland } from '../../../../src/sandbox/screen/resize-wayland.js';
import { resizeX11 } from '../../../../src/sandbox/screen/resize-x11.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

async function peerAt(t: TestContext, path: string): Promise<DisplayPeer> {
  const socket = connect(path).on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return new DisplayPeer({ stdin: socket, stdout: socket });
}

/** A server that says what it wants to, and then reads on, or ends. */
async function lying(t: TestContext, said: Buffer, ends = true): Promise<DisplayPeer> {
  const path = join(scratchDirectory(t), 'socket');
  const server = createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on('error', () => {}).resume();
    if (ends) socket.end(said);
    else socket.write(said);
  }).listen(path);
  t.after(() => server.close());
  await once(server, 'listening');
  return peerAt(t, path);
}

const unless = (...paths: readonly string[]) =>
  paths.every(existsSync) ? false : `${paths.join(' or ')} is missing (scripts/setup test)`;

describe('a Wayland compositor', () => {
  it('gets the size', { skip: unless('/usr/bin/cage', '/usr/bin/wlr-randr') }, async (t) => {
    const runtime = scratchDirectory(t);
    const env = {
      ...{ PATH: '/usr/bin:/bin', XDG_RUNTIME_DIR: runtime },
      ...{ WLR_BACKENDS: 'headless', WLR_RENDERER: 'pixman', WLR_LIBINPUT_NO_DEVICES: '1' },
    };
    // With its program, which would keep its output open.
    const script = 'echo "$WAYLAND_DISPLAY"; exec sleep 1000';
    const cage = spawn('/usr/bin/cage', ['--', 'sh', '-c', script], { env, detached: true });
    t.after(() => process.kill(-(cage.pid ?? assert.fail()), 'SIGKILL'));
    cage.stderr.resume();
    const [said] = (await once(cage.stdout, 'data')) as [Buffer];
    const display = said.toString().trim();
    for (const [width, height] of [
      [1001, 703],
      [320, 4095],
    ] as const) {
      await resizeWayland(await peerAt(t, join(runtime, display)), { width, height });
      const text = execFileSync('/usr/bin/wlr-randr', { env: { ...env, WAYLAND_DISPLAY: display }, encoding: 'utf8' });
      assert.match(text, new RegExp(`${width}x${height} px.*current`));
    }
  });

  const event = (object: number, code: number, fields = Buffer.alloc(0), size = 8 + fields.length) => {
    const head = Buffer.alloc(8);
    head.writeUInt32LE(object);
    head.writeUInt16LE(code, 4);
    head.writeUInt16LE(size, 6);
    return Buffer.concat([head, fields]);
  };
  for (const [what, said, pattern] of [
    ['ends at once', Buffer.alloc(0), /ended the connection/],
    ['has no way to set modes', event(3, 0, Buffer.alloc(4)), /has no zwlr_output_manager_v1/],
    ['refuses the client', event(1, 0, Buffer.concat([Buffer.alloc(12), Buffer.from('go away\0')])), /says: go away/],
    ['sends an event without a size', event(2, 0, Buffer.alloc(0), 0), /no event of Wayland/],
    [
      'talks without end',
      Buffer.concat(Array.from({ length: 40 }, () => event(9, 0, Buffer.alloc(60_000)))),
      /too much/,
    ],
  ] as const)
    it(`may be one that ${what}`, async (t) => {
      const peer = await lying(t, said);
      await assert.rejects(resizeWayland(peer, { width: 800, height: 600 }), (error) => {
        assert.ok(error instanceof DisplayError);
        assert.match(error.message, pattern);
        return true;
      });
    });
});

describe('an X server', () => {
  it('gets the size, and keeps no modes of before', { skip: unless('/usr/bin/Xvfb', '/usr/bin/xrandr') }, async (t) => {
    const server = spawn('/usr/bin/Xvfb', ['-displayfd', '1', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp']);
    t.after(() => server.kill('SIGKILL'));
    server.stderr.resume();
    const [said] = (await once(server.stdout, 'data')) as [Buffer];
    const display = said.toString().trim();
    const randr = () => execFileSync('/usr/bin/xrandr', ['-d', `:${display}`], { encoding: 'utf8' });
    for (const [width, height] of [
      [801, 603],
      [640, 1000],
      [1216, 700],
      [801, 603],
    ] as const) {
      await resizeX11(await peerAt(t, `/tmp/.X11-unix/X${display}`), { width, height });
      assert.match(randr(), new RegExp(`current ${width} x ${height},`));
      assert.deepEqual(randr().match(/virt-sandbox-\S+/g), [`virt-sandbox-${width}x${height}`]);
    }
  });

  const accepted = (rest: Buffer) => {
    const head = Buffer.alloc(8);
    head[0] = 1;
    head.writeUInt16LE(rest.length / 4, 6);
    return Buffer.concat([head, rest]);
  };
  const answer = (...bytes: readonly number[]) => Buffer.concat([Buffer.from(bytes), Buffer.alloc(32 - bytes.length)]);
  const screen = Buffer.alloc(72);
  for (const [what, said, pattern] of [
    ['ends at once', Buffer.alloc(0), /ended the connection/],
    ['lets nobody in', Buffer.concat([Buffer.alloc(6), Buffer.of(2, 0), Buffer.alloc(8)]), /lets nobody in/],
    ['cuts its greeting off', accepted(Buffer.alloc(0)), /cut off/],
    ['has a greeting whose parts are longer than it', accepted(Buffer.alloc(72, 0xff)), /cut off/],
    ['has no RANDR', Buffer.concat([accepted(screen), answer(1)]), /has no RANDR/],
    ['answers with an error', Buffer.concat([accepted(screen), answer(0, 17)]), /the error 17/],
    [
      'has more modes than it says',
      Buffer.concat([
        ...[accepted(screen), answer(1, 0, 0, 0, 0, 0, 0, 0, 1, 140), answer(1)],
        answer(1, 0, 0, 0, 0, 0, 0, 0, ...Array(16).fill(0xff)),
      ]),
      /cut off/,
    ],
    [
      'announces gigabytes',
      Buffer.concat([accepted(screen), answer(1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f)]),
      /too much|ended/,
    ],
  ] as const)
    it(`may be one that ${what}`, async (t) => {
      const peer = await lying(t, said);
      await assert.rejects(resizeX11(peer, { width: 800, height: 600 }), (error) => {
        assert.ok(error instanceof DisplayError);
        assert.match(error.message, pattern);
        return true;
      });
    });

  it('may say anything', async (t) => {
    for (let number = 0; number < 200; number += 1) {
      const said = Buffer.concat([accepted(screen), answer(1, 0, 0, 0, 0, 0, 0, 0, 1), randomBytes(5000)]);
      for (const resize of [resizeX11, resizeWayland])
        await assert.rejects(resize(await lying(t, said), { width: 800, height: 600 }), DisplayError);
    }
  });
});
