/** Hosts of registries: which are this machine's, and how each is reached. */
import { DOCKER_HUB } from '../../oci-names/reference.js';

/** True for names and addresses that lead to this host only. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
}

/** Where the interface of a registry is: Docker Hub's has another host than its images. */
export function apiHost(registry: string): string {
  return registry === DOCKER_HUB ? 'registry-1.docker.io' : registry;
}

/**
 * How a registry may be reached, the best first. A registry of this host has no TLS, mostly; any other has it, or the
 * user says otherwise.
 */
export function schemesFor(host: string, tlsVerify: boolean): readonly ('http:' | 'https:')[] {
  if (isLoopback(host)) return ['http:', 'https:'];
  return tlsVerify ? ['https:'] : ['https:', 'http:'];
}

/**
 * Whether a password or a token may be sent to a URL: where nobody on the way can read it, or to the registry itself if
 * the user has asked for one without TLS.
 */
export function mayCarrySecrets(url: URL, registryHost: string, tlsVerify: boolean): boolean {
  return url.protocol === 'https:' || isLoopback(url.host) || (!tlsVerify && url.host === registryHost);
}
