/** Names of the store that mean an image of which somebody knows the digest. */
import type { Reference } from '../../oci-names/reference.js';
import { parseRootImage } from '../../oci-names/root-image.js';
import type { Tag } from '../store/tags.js';

/** `debian@sha256:…`, with a tag or without, is any name of that repository which means that digest. */
export function ofDigest(tags: readonly Tag[], wanted: Reference): readonly Tag[] {
  const { digest } = wanted;
  return tags.filter(({ name, top, manifest }) => {
    if (digest === undefined || (top !== digest && manifest !== digest) || !name.startsWith('docker:')) return false;
    const own = parseRootImage(name);
    return own.transport === 'docker' && fits(own.reference, wanted);
  });
}

/** Whether a name is one of the repository of another, and has its tag, if that has one. */
function fits(own: Reference, { registry, repository, tag }: Reference): boolean {
  return own.registry === registry && own.repository === repository && (tag === undefined || own.tag === tag);
}
