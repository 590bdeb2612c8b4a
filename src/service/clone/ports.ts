/** Ports of this host for a service that is made of another one: two services cannot have the same. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { MOST_PORT } from '../../config/parsers/publish.js';
import type { Publish } from '../../config/types.js';
import { lockFile } from '../../oci/lock.js';
import { isSystemError } from '../../util/errors.js';
import { serviceError } from '../errors.js';
import { listServices } from '../list.js';
import type { ServiceRoots } from '../paths.js';
import type { Release } from '../store/held-lock.js';
import type { Service } from '../types.js';

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
  return chosenPorts(publish, others, (one, taken) => nextFree(one, taken, isFree));
}

/**
 * The same ports of this host, as far as no service has them and nobody listens there, and else other ones.
 * @throws {SandboxError} `service-no-port`
 */
export async function sameOrOtherPorts(
  publish: readonly Publish[],
  others: readonly Publish[],
  isFree: IsFree = isFreeHere,
): Promise<Publish[]> {
  return chosenPorts(publish, others, async (one, taken) =>
    !taken.has(keyOf(one)) && (await isFree(one)) ? one : nextFree(one, taken, isFree),
  );
}

/** Ports that a service has in common with others, as sentences: one of them runs at a time. */
export async function sharedPorts(roots: ServiceRoots, { name, config }: Pick<Service, 'name' | 'config'>) {
  const isShared = (port: Publish) => config.publish.some((own) => collide(own, port));
  const all = await listServices(roots);
  return all.flatMap((one) =>
    'service' in one && one.name !== name
      ? one.service.config.publish
          .filter(isShared)
          .map(({ hostPort }) => `port ${hostPort} is that of ${one.name}, too: only one of them can run`)
      : [],
  );
}

const ANY: readonly string[] = ['0.0.0.0', '::'];

function collide(one: Publish, other: Publish): boolean {
  const isSame = one.hostPort !== 0 && keyOf(one) === keyOf(other);
  return isSame && (one.address === other.address || [one, other].some(({ address }) => ANY.includes(address)));
}

/** Those that all services publish. */
export async function publishedPorts(roots: ServiceRoots): Promise<Publish[]> {
  const all = await listServices(roots);
  return all.flatMap((one) => ('service' in one ? one.service.config.publish : []));
}

/** Of services that are made at once each sees what the others have chosen. */
export async function lockPorts({ services }: ServiceRoots, signal: AbortSignal | undefined): Promise<Release> {
  // It is never removed.
  const file = await lockFile(join(services, '.ports'), 'exclusive', { signal });
  return async () => file?.close();
}

async function chosenPorts(
  publish: readonly Publish[],
  others: readonly Publish[],
  choose: (one: Publish, taken: ReadonlySet<string>) => Promise<Publish>,
): Promise<Publish[]> {
  const taken = new Set(others.map(keyOf));
  const found: Publish[] = [];
  for (const one of publish) {
    const other = one.hostPort === 0 ? one : await choose(one, taken);
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
    `there is no free port of this host above ${hostPort} for the service`,
    'end what listens there, or say which port it is to have',
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
