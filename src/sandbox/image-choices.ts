/** The options of a boot image that a profile decides. */
import type { ImageOptions } from '../image/types.js';
import type { Profile } from '../profile/types.js';

export function imageChoices({ image = {} }: Pick<Profile, 'image'>): Pick<ImageOptions, 'kernelForm' | 'compression'> {
  const { kernel, initrd } = image;
  return { kernelForm: kernel, ...(initrd === undefined ? {} : { compression: initrd }) };
}
