/** Where services of a test are, beside those of this host. */
import { join } from 'node:path';
import type { ServiceRoots } from '../../src/service/paths.js';

/** Places of services below a directory, which need not be there. */
export function placesBelow(directory: string): ServiceRoots {
  const below = (name: string) => join(directory, name);
  return {
    scope: 'system',
    services: below('services'),
    directories: below('filesystems'),
    images: below('images'),
    lives: below('lives'),
  };
}
