/** Where services are on this host. */
import { join } from 'node:path';
import { checkServiceName } from './names.js';

/** Whose services: those of root are the host's, and each other user has services of their own. */
export type Scope = 'system' | 'user';

/** The places of one scope. */
export interface ServiceRoots {
  readonly scope: Scope;
  /** A directory for each service. */
  readonly services: string;
  /** Where states are kept in directories, unless a service says otherwise. */
  readonly directories: string;
  /** Where states are kept in disk images. */
  readonly images: string;
  /** What is known of their lives, and their logs: a directory for each service. */
  readonly lives: string;
}

/** The files of one service. */
export interface ServicePaths {
  /** All that describes it. */
  readonly directory: string;
  readonly config: string;
  /** Its sandbox.cfg. */
  readonly file: string;
  /** What is known of its life, and its log. */
  readonly life: string;
}

/**
 * The places of a user's services. Those of root are libvirt-sandbox's.
 * @param uid of the user
 * @param home of the user
 */
export function serviceRoots(
  uid: number | undefined = process.geteuid?.(),
  home: string | undefined = process.env['HOME'],
): ServiceRoots {
  if (uid === 0)
    return {
      scope: 'system',
      services: '/etc/libvirt-sandbox/services',
      directories: '/var/lib/libvirt/filesystems',
      images: '/var/lib/libvirt/images',
      lives: '/var/lib/libvirt-sandbox/services',
    };
  const configHome = process.env['XDG_CONFIG_HOME'] || join(home ?? '/', '.config');
  const dataHome = process.env['XDG_DATA_HOME'] || join(home ?? '/', '.local/share');
  return {
    scope: 'user',
    services: join(configHome, 'libvirt-sandbox/services'),
    directories: join(dataHome, 'libvirt-sandbox/filesystems'),
    images: join(dataHome, 'libvirt-sandbox/images'),
    lives: join(process.env['XDG_STATE_HOME'] || join(home ?? '/', '.local/state'), 'libvirt-sandbox/services'),
  };
}

/** @throws {SandboxError} `service-name-invalid` */
export function servicePaths(roots: ServiceRoots, name: string): ServicePaths {
  checkServiceName(name);
  const directory = join(roots.services, name);
  const config = join(directory, 'config');
  return { directory, config, file: join(config, 'sandbox.cfg'), life: join(roots.lives, name) };
}
