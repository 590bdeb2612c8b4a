/** Names of images in the form of libvirt-sandbox's virt-sandbox-image. {@link parseRootImage} reads them. */
import { DOCKER_HUB } from './reference.js';
import { parseRootImage } from './root-image.js';

/**
 * `docker:/library/debian?tag=13`, or `docker://HOST/NAME?tag=TAG`.
 * @param name as the store has it
 * @returns undefined for what is no image of a registry
 */
export function upstreamText(name: string): string | undefined {
  const image = parseRootImage(name);
  if (image.transport !== 'docker') return undefined;
  const { registry, repository, tag, digest } = image.reference;
  const host = registry === DOCKER_HUB ? '' : `//${registry}`;
  const query = [tag === undefined ? [] : `tag=${tag}`, digest === undefined ? [] : `digest=${digest}`]
    .flat()
    .join('&');
  return `docker:${host}/${repository}?${query}`;
}
