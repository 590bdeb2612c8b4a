/** The program `watch-screen` of the init, and `connect` with a path. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import { Proc } from '../../../../src/protocol/wire.js';
import { Programs, recordsIn } from './programs.js';

const { errno } = constants;

describe('watch-screen', () => {
  it('hands on what the file has, and ends with its input', async (t) => {
    const programs = await Programs.start(t);
    const content = Buffer.from(Array.from({ length: 384 }, (_, at) => at % 256));
    writeFileSync(programs.path('edid'), content);
    const [record = assert.fail()] = recordsIn(await programs.run(['watch-screen', 'edid']));
    assert.equal(record.readUInt32BE(0), content.length);
    assert.deepEqual(record.subarray(4), content);
  });

  it('hands on no more than a record has', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('edid'), Buffer.alloc(100_000, 7));
    const [record = assert.fail()] = recordsIn(await programs.run(['watch-screen', 'edid']));
    assert.deepEqual(record.subarray(4), Buffer.alloc(2048, 7));
  });

  it('says that there is no such file', async (t) => {
    const programs = await Programs.start(t);
    assert.match(await programs.fails(errno.ENOENT, ['watch-screen', 'edid']), /read\(edid\)/);
  });
});

describe('connect with a path', () => {
  it('carries bytes both ways', async (t) => {
    const programs = await Programs.start(t);
    const server = createServer((socket) => socket.pipe(socket)).listen(programs.path('socket'));
    await once(server, 'listening');
    t.after(() => server.close());
    const number = await programs.begin(['connect', programs.path('socket')]);
    programs.guest.stdin('there and back', number);
    programs.guest.stdinEnd(number);
    assert.equal(await programs.guest.exit(number), 0);
    assert.equal(programs.guest.output(Proc.STDOUT, number).toString(), 'there and back');
  });

  it('says why it cannot', async (t) => {
    const programs = await Programs.start(t);
    assert.match(await programs.fails(errno.ENOENT, ['connect', programs.path('none')]), /^connect\(\/none\)/);
    writeFileSync(programs.path('file'), '');
    await programs.fails(errno.ECONNREFUSED, ['connect', programs.path('file')]);
    await programs.fails(errno.ENAMETOOLONG, ['connect', `/${'n'.repeat(200)}`]);
  });
});
