/** Ports of this host for a clone: two services cannot have the same. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { MOST_PORT } from '../../config/parsers/publish.js';
import type { Publish } from '../../config/types.js';
import { isSystemError } from '../../util/errors.js';
import { serviceError } from '../errors.js';

/** Ports below it are for those with a special right, and are known by their numbers. */
const FIRST_OF_USERS = 1024;
/** 80 becomes 8080. */
const WELL_KNOWN_BASE = 8000;

/** Whether nobody listens there now. */
export type IsFree = (publish: Publish) => Promise<boolean>;

/**
 * The same ports inside at other ports of this host: the next ones that no service has, whether it runs or not, and at
 * which nobody listens. One that is chosen at each start stays so.
 * @param others what all services publish, the source too
 * @throws {SandboxError} `service-no-port`
 */
export async function otherPorts(
  publish: readonly Publish[],
  others: readonly Publish[],
  isFree: IsFree = isFreeHere,
): Promise<Publish[]> {
  const taken = new Set(others.map(keyOf));
  const found: Publish[] = [];
  for (const one of publish) {
    const other = one.hostPort === 0 ? one : await nextFree(one, taken, isFree);
    taken.add(keyOf(other));
    found.push(other);
  }
  return found;
}

async function nextFree(publish: Publish, taken: ReadonlySet<string>, isFree: IsFree): Promise<Publish> {
  const { hostPort } = publish;
  const first = hostPort < FIRST_OF_USERS ? WELL_KNOWN_BASE + hostPort : hostPort + 1;
  for (let port = first; port <= MOST_PORT; port += 1) {
    const other = { ...publish, hostPort: port };
    if (!taken.has(keyOf(other)) && (await isFree(other))) return other;
  }
  throw serviceError(
    'service-no-port',
    `there is no free port of this host above ${hostPort} for the clone`,
    'say which it is to have: --publish HOST:GUEST',
  );
}

/** Two addresses may be the same one, such as 0.0.0.0 and 127.0.0.1. */
function keyOf({ protocol, hostPort }: Publish): string {
  return `${protocol} ${hostPort}`;
}

/** An address that this host has not now says nothing about the port. */
async function isFreeHere({ protocol, address, hostPort }: Publish): Promise<boolean> {
  try {
    await (protocol === 'udp' ? tryUdp(address, hostPort) : tryTcp(address, hostPort));
    return true;
  } catch (error) {
    return !isSystemError(error, 'EADDRINUSE') && !isSystemError(error, 'EACCES');
  }
}

function tryTcp(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

function tryUdp(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', (error) => socket.close(() => reject(error)));
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve()));
  });
}
