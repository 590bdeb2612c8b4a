/** Benchmark `ports`: a server reached through a published port, beside the same server on this host. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import { summarize } from '../../src/bench/result/statistics.js';
import { inOrderOf } from '../../src/bench/run/order.js';
import { Sandbox } from '../../src/index.js';
import type { Context } from './context.js';
import { forInformation, quantity, type Row, type Unit } from './row.js';

const URI = 'qemu:///embed';
const CONNECTIONS = 200;
const AT_ONCE = 16;
const DATAGRAMS = 200;
const MIB = 2 ** 20;
const BYTES = 32 * MIB;
const PATIENCE_MS = 60_000;

/** By the first byte of a connection: e echoes, d sends BYTES, u takes all and then says so. It prints its ports. */
const SERVER = `
const server = require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.once('readable', () => {
    const word = String(socket.read(1));
    if (word === 'e') socket.pipe(socket);
    if (word === 'u') socket.resume().on('end', () => socket.end('u'));
    if (word === 'd') {
      let left = ${BYTES};
      const piece = Buffer.alloc(65536);
      const pour = () => {
        while (left > 0) { left -= piece.length; if (!socket.write(piece)) return; }
        socket.end();
      };
      socket.on('drain', pour);
      pour();
    }
  });
}).listen(0, '127.0.0.1', () => {
  const udp = require('node:dgram').createSocket('udp4');
  udp.on('message', (bytes, from) => udp.send(bytes, from.port, from.address));
  udp.bind(0, '127.0.0.1', () => console.log(server.address().port + ' ' + udp.address().port));
});
`;

/** Where it is on this host. */
interface Server {
  readonly tcp: number;
  readonly udp: number;
}

interface Figure {
  readonly what: string;
  readonly unit: Unit;
  measure(server: Server): Promise<number>;
}

const FIGURES: readonly Figure[] = [
  { what: `${CONNECTIONS} connections, ${AT_ONCE} at once`, unit: '/s', measure: connections },
  { what: `${BYTES / MIB} MiB out through a port`, unit: 'MiB/s', measure: async ({ tcp }) => rate(tcp, 'd', BYTES) },
  { what: `${BYTES / MIB} MiB in through a port`, unit: 'MiB/s', measure: async ({ tcp }) => rate(tcp, 'u', 1) },
  { what: 'UDP, one datagram and its answer after the other', unit: '/s', measure: exchanges },
];

export async function portRows({ runs, progress }: Context): Promise<Row[]> {
  await using sandbox = await Sandbox.create({ connect: URI });
  const inside = await portsOf((await sandbox.spawn(['node', '-e', SERVER])).stdout);
  const published = {
    tcp: (await sandbox.publish(inside.tcp)).hostPort,
    udp: (await sandbox.publish(inside.udp, { protocol: 'udp' })).hostPort,
  };
  const child = spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const direct = await portsOf(child.stdout);
    const rows: Row[] = [];
    for (const figure of FIGURES) {
      const [through, beside]: [number[], number[]] = [[], []];
      const servers = [
        { name: 'published', server: published, values: through },
        { name: 'on this host', server: direct, values: beside },
      ];
      for (let round = 0; round <= runs; round += 1) {
        for (const { name, server, values } of inOrderOf(round, servers)) {
          const value = await figure.measure(server);
          progress(`${figure.what}, ${name}: ${value.toFixed(1)} ${figure.unit}`);
          if (round > 0) values.push(value);
        }
      }
      const reference = { name: 'the same server on this host', ...quantity(summarize(beside), figure.unit) };
      rows.push(forInformation(figure.what, quantity(summarize(through), figure.unit), reference));
    }
    return rows;
  } finally {
    child.kill('SIGKILL');
  }
}

async function portsOf(stdout: Readable): Promise<Server> {
  const [line] = (await once(stdout, 'data')) as [Buffer];
  const [tcp = 0, udp = 0] = String(line).split(' ').map(Number);
  return { tcp, udp };
}

/** Sends it, and its end. @returns how many bytes come back */
async function ask(port: number, request: Buffer): Promise<number> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  socket.end(request);
  let size = 0;
  for await (const piece of socket as AsyncIterable<Buffer>) size += piece.length;
  return size;
}

/** Each says a byte, and hears it. */
async function connections({ tcp }: Server): Promise<number> {
  let left = CONNECTIONS;
  const begun = performance.now();
  const work = async () => {
    for (; left > 0; ) {
      left -= 1;
      assert.equal(await ask(tcp, Buffer.from('ex')), 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return (CONNECTIONS / (performance.now() - begun)) * 1000;
}

/** BYTES in one direction. @param answered how many come back */
async function rate(port: number, word: 'd' | 'u', answered: number): Promise<number> {
  const request = Buffer.alloc(word === 'u' ? 1 + BYTES : 1, word);
  const begun = performance.now();
  assert.equal(await ask(port, request), answered);
  return (BYTES / MIB / (performance.now() - begun)) * 1000;
}

async function exchanges({ udp }: Server): Promise<number> {
  const socket = createSocket('udp4');
  socket.connect(udp, '127.0.0.1');
  await once(socket, 'connect');
  try {
    // A lost datagram is a failure, and not a rate.
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const begun = performance.now();
    for (let count = 0; count < DATAGRAMS; count += 1) {
      const answer = once(socket, 'message', { signal });
      socket.send('x');
      await answer;
    }
    return (DATAGRAMS / (performance.now() - begun)) * 1000;
  } finally {
    socket.close();
  }
}
