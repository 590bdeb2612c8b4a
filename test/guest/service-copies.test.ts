/** What create copies into the state of a service in a machine. */
import { describe } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { unlessRoot } from '../helpers/scratch.js';
import { itReadsCopies } from '../helpers/service-copies.js';

const skip = embedded.skip || unlessRoot('only root copies') || unlessProgram('virtiofsd');

describe('a service in a machine', { skip }, () => {
  itReadsCopies(embedded, 'a directory');
  itReadsCopies(embedded, 'an image', ['-i', '200']);
});
