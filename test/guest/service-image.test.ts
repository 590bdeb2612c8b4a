/** Services that run the command of an OCI image in a machine. */
import { describe } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { itRunsImages } from '../helpers/image-services.js';
import { itTakesNewImages } from '../helpers/new-images.js';
import { unlessBusyboxImage } from '../helpers/oci/root-images.js';

describe('a service of an image in a machine', { skip: embedded.skip || unlessBusyboxImage }, () => {
  itRunsImages(embedded);
  itTakesNewImages(embedded, 'an image', ['-i', '150']);
});
