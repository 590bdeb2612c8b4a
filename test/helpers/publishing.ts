/**
 * A program that publishes a port of one sandbox, and is its client: publishing.js URI REQUESTS MEBIBYTES. It prints as JSON what came of
 * it. Programs of another user, or in another mount namespace, cannot be a test themselves.
 */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type PublishedPort, Sandbox } from '../../src/index.js';

const [uri = '', ...numbers] = process.argv.slice(2);
const [requests = 0, mebibytes = 0] = numbers.map(Number);

const SERVER_PORT = 8000;
const BYTES = mebibytes << 20;

/** A datagram is sent again after so long, and is given up after that. */
const [AGAIN_MS, EXCHANGE_MS] = [200, 30_000];

/**
 * A server in the sandbox, by the first word that a client sends: `echo` sends the rest back, `count` sends the digest of
 * the rest and its size, `pour` sends MEBIBYTES, `reset` resets.
 */
const SERVER = `
const net = require('node:net'), { createHash } = require('node:crypto');
net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.once('readable', () => {
    const word = String(socket.read(5));
    if (word === 'echo ') socket.pipe(socket);
    if (word === 'count') {
      const hash = createHash('sha256');
      let size = 0;
      socket.on('data', (bytes) => { hash.update(bytes); size += bytes.length; });
      socket.on('end', () => socket.end(size + ' ' + hash.digest('hex')));
    }
    if (word === 'pour ') {
      let left = ${mebibytes};
      const pour = () => { while (left > 0 && socket.write(Buffer.alloc(1 << 20, left--))); if (left === 0) socket.end(); };
      socket.on('drain', pour);
      pour();
    }
    if (word === 'reset') socket.resetAndDestroy();
  });
}).listen(${SERVER_PORT}, '127.0.0.1', () => {
  const udp = require('node:dgram').createSocket('udp4');
  udp.on('message', (bytes, from) => udp.send(bytes, from.port, from.address));
  udp.bind(${SERVER_PORT}, '127.0.0.1', () => console.log('listening'));
});
`;

async function dial(port: PublishedPort, address = port.address): Promise<Socket> {
  const socket = connect({ host: address, port: port.hostPort, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

/** Sends it, ends, and returns all that comes back. */
async function ask(port: PublishedPort, request: string | Buffer): Promise<Buffer> {
  const socket = await dial(port);
  socket.end(request);
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
}

/** So many at once until there were that many. @returns how many came back whole */
async function many(port: PublishedPort, total: number, atOnce: number): Promise<number> {
  let [begun, whole] = [0, 0];
  const work = async () => {
    while (begun < total) {
      begun += 1;
      const text = `request ${begun} `.repeat(50);
      if ((await ask(port, `echo ${text}`)).toString() === text) whole += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return whole;
}

async function up(port: PublishedPort): Promise<boolean> {
  const bytes = Buffer.alloc(BYTES, Buffer.from(Array.from({ length: 1009 }, (_, at) => at % 251)));
  const answer = await ask(port, Buffer.concat([Buffer.from('count'), bytes]));
  return answer.toString() === `${BYTES} ${createHash('sha256').update(bytes).digest('hex')}`;
}

async function down(port: PublishedPort): Promise<boolean> {
  const expected = createHash('sha256');
  for (let left = mebibytes; left > 0; left -= 1) expected.update(Buffer.alloc(1 << 20, left));
  return (
    createHash('sha256')
      .update(await ask(port, 'pour '))
      .digest('hex') === expected.digest('hex')
  );
}

/** Sends a datagram, again and again, since any may be lost. @returns the answer, or the code of the error */
async function exchange(port: PublishedPort, datagram: string, address = port.address): Promise<string> {
  const socket = createSocket('udp4');
  socket.connect(port.hostPort, address);
  await once(socket, 'connect');
  const answer = once(socket, 'message', { signal: AbortSignal.timeout(EXCHANGE_MS) });
  // Those that are sent later may fail later.
  socket.on('error', () => {});
  socket.send(datagram);
  const again = setInterval(() => socket.send(datagram), AGAIN_MS);
  const said = await answer.then(
    ([bytes]) => String(bytes),
    (error: NodeJS.ErrnoException) => String(error.code),
  );
  clearInterval(again);
  socket.close();
  return said;
}

/** From so many clients at once. @returns how many were answered */
async function exchanges(port: PublishedPort, clients: number): Promise<number> {
  const words = Array.from({ length: clients }, (_, at) => `client ${at} `.repeat(100));
  const answers = await Promise.all(words.map((word) => exchange(port, word)));
  return answers.filter((answer, at) => answer === words[at]).length;
}

/** Other IPv4 addresses of this host than the one that the ports are at. */
function otherAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outer = all.filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address);
  return ['127.0.0.2', ...outer];
}

/** What those say who try at other addresses, each once. */
async function elsewhere(ask: (address: string) => Promise<string>): Promise<string[]> {
  return [...new Set(await Promise.all(otherAddresses().map(ask)))];
}

const sandbox = await Sandbox.start({ command: ['sleep', '1000'] }, { connect: uri });
const server = await sandbox.spawn(['node', '-e', SERVER]);
server.stderr.pipe(process.stderr);
await once(server.stdout, 'data');
const port = await sandbox.publish(SERVER_PORT);
const udp = await sandbox.publish(SERVER_PORT, { protocol: 'udp' });
const unused = await sandbox.publish(9);
const six = await sandbox.publish(SERVER_PORT, { host: '::1' });
const results = {
  url: String(port) === `http://127.0.0.1:${port.hostPort}/`,
  echo: (await ask(port, 'echo hello')).toString(),
  six: (await ask(six, 'echo six')).toString(),
  reset: await codeOf(ask(port, 'reset')),
  refused: await codeOf(ask(unused, 'hello')),
  other: await elsewhere((address) => codeOf(dial(port, address))),
  udp: await exchange(udp, 'hello'),
  udpLarge: (await exchange(udp, 'large '.repeat(10_000))) === 'large '.repeat(10_000),
  udpClients: await exchanges(udp, 20),
  udpOther: await elsewhere((address) => exchange(udp, 'hello', address)),
  taken: await codeOf(sandbox.publish(9, { hostPort: port.hostPort })),
  whole: await many(port, requests, 20),
  up: await up(port),
  down: await down(port),
  name: sandbox.name,
};
const open = await dial(port);
const cut = codeOf(once(open, 'end'));
await sandbox.stop();
const after = {
  cut: await cut,
  gone: await codeOf(dial(port)),
  late: await codeOf(sandbox.publish(80)),
  udpGone: await exchange(udp, 'hello'),
};
process.stdout.write(`${JSON.stringify({ ...results, ...after })}\n`);
