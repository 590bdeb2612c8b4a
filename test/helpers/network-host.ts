/**
 * A host with a network of its own: loopback, a second address, and a link to another host. Both are network namespaces
 * that nobody else sees, and gone at the end. Services run on them that report all that arrives.
 *
 * | address | what it is |
 * |---|---|
 * | 127.0.0.1, ::1 | the host's loopback |
 * | 10.77.0.1, fd77::1 | the host's second address |
 * | 192.168.99.1, fd99::1 | the host's, towards the other host |
 * | 192.168.99.2, fd99::2 | the other host: `outside` on port 9000 |
 * | 127.0.0.53 | the host's name server: every name is 192.168.99.2 |
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { environment, type RunOptions, type RunResult, runSandbox } from './run.js';

const SCRIPT = `
ip link set lo up
unshare --net sleep infinity &
outside=$!
until [ "$(readlink /proc/$outside/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add second0 type veth peer name second1
ip link set second1 up
ip link add link0 type veth peer name link1 netns $outside
for entry in second0=10.77.0.1/24 second0=fd77::1/64 link0=192.168.99.1/24 link0=fd99::1/64; do
  ip link set \${entry%=*} up
  case $entry in *:*) nodad=nodad ;; *) nodad= ;; esac
  ip address add \${entry#*=} dev \${entry%=*} $nodad
done
there="nsenter --net --target $outside --"
$there ip link set lo up
$there ip link set link1 up
$there ip address add 192.168.99.2/24 dev link1
$there ip address add fd99::2/64 dev link1 nodad
ip route add default via 192.168.99.2
ip -6 route add default via fd99::2
echo 'nameserver 127.0.0.53' >/run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
$there "$NODE" -e "$OUTSIDE" &
exec "$NODE" -e "$SERVICES"
`;

const OUTSIDE = `
require('node:net').createServer((socket) => socket.on('error', () => {}).end('outside\\n')).listen(9000, '::');
`;

/** The TCP services by port, and the port of UDP, which every address has. */
export const PORTS = { loopback: 8001, loopback6: 8002, any: 8003, second: 8004, second6: 8005, udp: 8006 } as const;

/** Where the services listen. 853 and 8007 are beside the name server. */
const TCP = [
  ['127.0.0.1', PORTS.loopback],
  ['::1', PORTS.loopback6],
  ['::', PORTS.any],
  ['10.77.0.1', PORTS.second],
  ['fd77::1', PORTS.second6],
  ['127.0.0.53', 853],
  ['127.0.0.53', 8007],
] as const;

/**
 * Prints a line for each connection (`tcp PORT`) and datagram (`udp TEXT`). A line on stdin is sent to every service
 * and back as `udp LINE`, then `done LINE`: what came before has been printed then.
 */
const SERVICES = `
const net = require('node:net'), dgram = require('node:dgram');
const tcp = ${JSON.stringify(TCP)}, quiet = () => {}, own = {};
const udp = dgram.createSocket({ type: 'udp6', reuseAddr: true });
udp.on('message', (text) => { console.log('udp ' + text); waiting.get(String(text))?.(); });
const waiting = new Map();
const names = dgram.createSocket('udp4');
names.on('message', (query, from) => {
  let end = 12;
  while (query[end] !== 0) end += query[end] + 1;
  const question = query.subarray(12, end + 5), isA = query[end + 2] === 1;
  const header = Buffer.from([query[0], query[1], 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 168, 99, 2]);
  names.send(Buffer.concat([header, question, ...(isA ? [answer] : [])]), from.port, from.address);
});
const servers = tcp.map(([address, port]) => net.createServer((socket) => {
  if (own[port] > 0) own[port] -= 1;
  else console.log('tcp ' + port);
  socket.on('error', quiet).end('service ' + port + '\\n');
}));
const listening = [
  ...servers.map((server, at) => new Promise((ok) => server.listen(tcp[at][1], tcp[at][0], ok))),
  new Promise((ok) => udp.bind(${PORTS.udp}, '::', ok)),
  new Promise((ok) => names.bind(53, '127.0.0.53', ok)),
];
Promise.all(listening).then(() => {
  for (const card of ['second0', 'link0', 'lo']) udp.addMembership('ff02::fb', '::%' + card);
  console.log('listening');
});
async function come(address, port) {
  own[port] = (own[port] ?? 0) + 1;
  const socket = net.connect({ port, host: address === '::' ? '::1' : address });
  socket.on('error', quiet).resume();
  await new Promise((ok) => socket.once('close', ok));
}
require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const heard = new Promise((ok) => waiting.set(line, ok));
  const client = dgram.createSocket('udp6');
  client.send(line, ${PORTS.udp}, '::1');
  await Promise.all([heard, ...tcp.map(([address, port]) => come(address, port))]);
  client.close();
  console.log('done ' + line);
});
`;

export class NetworkHost {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #arrived: string[] = [];
  readonly #gone: Promise<never>;
  #pid = 0;
  #count = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error('its stdout is a pipe');
    this.#lines = createInterface({ input: child.stdout });
    this.#lines.on('line', (line) => this.#arrived.push(line));
    this.#gone = once(child, 'exit').then(() => {
      throw new Error('the host has ended');
    });
    this.#gone.catch(() => {});
  }

  /** The caller must be root. End it with {@link end}. */
  static async start(): Promise<NetworkHost> {
    const words = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
    const script = `mount -t tmpfs tmpfs /run && ${SCRIPT.trim()}`;
    const child = spawn('unshare', [...words, 'sh', '-euc', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: environment({ NODE: process.execPath, OUTSIDE, SERVICES }),
    });
    const host = new NetworkHost(child);
    await host.#until('listening');
    host.#arrived.length = 0;
    host.#pid = await childOf(child.pid ?? 0);
    return host;
  }

  /** The words that run a command there. */
  get through(): readonly string[] {
    return ['nsenter', '--target', String(this.#pid), '--mount', '--net', '--pid', '--'];
  }

  /** Runs a command there; rejects if it fails. */
  async run(...command: readonly string[]): Promise<void> {
    const [program = '', ...args] = [...this.through, ...command];
    const child = spawn(program, args, { stdio: 'inherit' });
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`${command.join(' ')} failed`);
  }

  /** Runs `virt-sandbox ARGS` there. */
  sandbox(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return runSandbox(args, { ...options, through: [...this.through, ...(options.through ?? [])] });
  }

  /** What has arrived at the services since the last call: `tcp PORT`, `udp TEXT`, each once, in order. */
  async arrived(): Promise<string[]> {
    this.#count += 1;
    const line = `sync ${this.#count}`;
    this.#child.stdin?.write(`${line}\n`);
    await this.#until(`done ${line}`);
    const lines = this.#arrived.splice(0).filter((text) => text !== `udp ${line}` && text !== `done ${line}`);
    return [...new Set(lines)].sort();
  }

  /** Ends everything there. */
  async end(): Promise<void> {
    const gone = once(this.#child, 'exit');
    // The first process of a PID namespace takes all others with it.
    this.#child.kill('SIGKILL');
    await gone;
    this.#lines.close();
  }

  async #until(line: string): Promise<void> {
    while (!this.#arrived.includes(line)) await Promise.race([once(this.#lines, 'line'), this.#gone]);
  }
}

async function childOf(pid: number): Promise<number> {
  const ps = spawn('ps', ['-o', 'pid=', '--ppid', String(pid)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text] = await once(ps.stdout.setEncoding('utf8'), 'data');
  return Number.parseInt(text, 10);
}
