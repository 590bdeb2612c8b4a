/** Images of this host, by where they are. */
import type { Platform } from '../../oci-names/platform.js';
import { type LocalImage, rootImageText } from '../../oci-names/root-image.js';
import type { ImageSource } from '../source.js';
import { Archive } from './archive.js';
import { Directory } from './directory.js';
import { openDockerArchive } from './docker-archive.js';
import { LayoutImage } from './layout.js';
import { openTarRoot } from './tar-root.js';

/**
 * Opens an image of this host.
 * @param platform of `tar:` archives, which do not say theirs
 * @throws {SandboxError} `image-not-found`, `image-unreadable`, `image-ambiguous`, `archive-invalid`, `aborted`
 */
export async function openLocal(image: LocalImage, platform: Platform, signal?: AbortSignal): Promise<ImageSource> {
  switch (image.transport) {
    case 'tar':
      return openTarRoot(image.path, platform, signal);
    case 'docker-archive':
      return openDockerArchive(image.path, image.name, signal);
    case 'oci-archive':
      return new LayoutImage(await Archive.open(image.path, signal), rootImageText(image), image.name);
    case 'oci':
      return new LayoutImage(new Directory(image.path), rootImageText(image), image.name);
  }
}
