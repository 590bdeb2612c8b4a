/** What can go wrong with a network, by code, and what to do about it. */
export const NETWORK_REMEDIES = {
  'interface-missing':
    'see that the kernel has the driver: LIBVIRT_SANDBOX_INIT_DEBUG=1 shows which modules were loaded',
  'dhcp-no-answer': 'see that the network has a DHCP server, or give the interface an address=',
  'dhcp-refused': "look into the server's log, or give the interface an address=",
  'dhcp-failed': 'set LIBVIRT_SANDBOX_INIT_DEBUG=1 to see every step',
} as const;

export type NetworkErrorCode = keyof typeof NETWORK_REMEDIES;

export function isNetworkErrorCode(code: unknown): code is NetworkErrorCode {
  return typeof code === 'string' && Object.hasOwn(NETWORK_REMEDIES, code);
}

/** The network cannot be set up as the config asks. */
export class NetworkError extends Error {
  readonly code: NetworkErrorCode;
  readonly remedy: string;

  constructor(code: NetworkErrorCode, message: string) {
    super(message);
    this.name = 'NetworkError';
    this.code = code;
    this.remedy = NETWORK_REMEDIES[code];
  }
}
