/** Listens at ports of this host. */
import type { Protocol } from '../../config/types.js';
import type { PortServer } from './port-server.js';
import { TcpServer } from './tcp-server.js';
import { UdpServer } from './udp-server.js';

/** @throws {SandboxError} `port-taken`, `port-not-allowed`, `address-not-here`, `port-unusable` */
export async function listen(protocol: Protocol, host: string, port: number): Promise<PortServer> {
  return protocol === 'udp' ? UdpServer.listen(host, port) : TcpServer.listen(host, port);
}
