/**
 * What an archive of a service consists of: a tar archive in the form of POSIX with these members, in this order.
 *
 *   service.json   the version of the form, the name of the service, and what its state is
 *   sandbox.cfg    the service
 *   layers/…       a state in a directory: the upper layers of its overlay, without what overlayfs makes anew
 *   state.qcow2    a state in an image
 */
import * as v from 'valibot';
import { OVERLAY_KINDS } from '../../sandbox/devices/overlay-record.js';
import { messageOf } from '../../util/errors.js';
import { isServiceName } from '../names.js';
import { notAnArchive } from './errors.js';

export const MANIFEST = 'service.json';
export const CONFIG = 'sandbox.cfg';
export const LAYERS = 'layers';
export const IMAGE = 'state.qcow2';

/** Bytes of each of the first two members. */
export const MOST_TEXT_BYTES = 1 << 20;

const schema = v.strictObject({
  version: v.literal(1),
  name: v.pipe(v.string(), v.check(isServiceName)),
  state: v.variant('type', [
    v.strictObject({
      type: v.literal('directory'),
      /** None: the service has never been started, and nothing is there. */
      overlay: v.optional(
        v.strictObject({
          kind: v.picklist(OVERLAY_KINDS),
          /** That of the archive's host: by its path, or by the id of an image's file system. */
          root: v.pipe(v.string(), v.regex(/^(?:\/|image:[0-9a-f]{64}$)/), v.maxLength(4096)),
        }),
      ),
    }),
    v.strictObject({ type: v.literal('image') }),
  ]),
});

export type Manifest = v.InferOutput<typeof schema>;

export function formatManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest)}\n`;
}

/** @throws {SandboxError} `service-archive-invalid` */
export function parseManifest(text: string, archive: string): Manifest {
  try {
    return v.parse(schema, JSON.parse(text));
  } catch (error) {
    throw notAnArchive(archive, `has a ${MANIFEST} that is not understood: ${messageOf(error)}`, error);
  }
}
