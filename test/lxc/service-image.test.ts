/** Services that run the command of an OCI image in a container. */
import { describe } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { itRunsImages } from '../helpers/image-services.js';
import { itTakesNewImages } from '../helpers/new-images.js';
import { unlessBusyboxImage } from '../helpers/oci/root-images.js';

describe('a service of an image in a container', { skip: lxc.skip || unlessBusyboxImage }, () => {
  itRunsImages(lxc);
  itTakesNewImages(lxc, 'a directory');
});

describe('a service of an image in a container whose state has a bound', {
  skip: lxc.skip || unlessBusyboxImage,
}, () => {
  itRunsImages(lxc, ['-i', '150']);
});
