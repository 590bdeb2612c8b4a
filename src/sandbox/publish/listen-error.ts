/** Why a port of this host cannot be listened at. */
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';

const REASONS: Readonly<Record<string, readonly [code: string, reason: string, remedy: string]>> = {
  EADDRINUSE: ['port-taken', 'is taken', 'end what listens there (ss -lntup), or choose another; 0 takes a free one'],
  EACCES: [
    'port-not-allowed',
    'is for root only',
    'choose a port from 1024 up, or lower net.ipv4.ip_unprivileged_port_start',
  ],
  EADDRNOTAVAIL: ['address-not-here', 'cannot be had, since this host has no such address', 'see ip address'],
};

/** @param protocol `TCP` or `UDP` */
export function listenError(protocol: string, host: string, port: number, cause: unknown): SandboxError {
  const known = isSystemError(cause) ? REASONS[cause.code ?? ''] : undefined;
  const [code, reason, remedy] = known ?? [
    'port-unusable',
    `cannot be listened at: ${messageOf(cause)}`,
    'choose another address or port',
  ];
  return new SandboxError({
    stage: 'config',
    code,
    message: `${protocol} port ${port} of ${host} ${reason}`,
    remedy,
    cause,
  });
}
