/** Services that run the command of an OCI image in a machine. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { itRunsImages } from '../helpers/image-services.js';
import { itTakesNewImages } from '../helpers/new-images.js';
import { busyboxImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { createdService } from '../helpers/services.js';

const COMMAND = { Cmd: ['sh', '-c', 'exec sleep 1000'] };

describe('a service of an image in a machine', { skip: embedded.skip || unlessBusyboxImage }, () => {
  itRunsImages(embedded);
  itTakesNewImages(embedded, 'an image', ['-i', '150']);

  it('is not taken from an image of a file that is gone, and goes to one with another name before', async (t) => {
    const layout = join(scratchDirectory(t), 'oci');
    const other = join(scratchDirectory(t), 'oci');
    const file = (data: string) => [{ name: 'srv/', type: '5' } as const, { name: 'srv/version', data }];
    busyboxImage(layout, file('1'), COMMAND);
    const service = await createdService(t, embedded, ['-i', '150', '-r', `oci:${layout}`]);
    await service.ok(['start']);
    assert.equal(await service.inside('echo kept >/srv/own; cat /srv/version'), '1');
    await service.ok(['stop']);
    busyboxImage(other, file('2'), COMMAND);
    execFileSync('mv', [layout, `${layout}-1`]);
    execFileSync('cp', ['-a', other, layout]);
    await service.fails(['upgrade'], /lies over the image sha256:.* has the image sha256:.*; put back what .* edit /);
    execFileSync('rm', ['-r', layout]);
    execFileSync('mv', [`${layout}-1`, layout]);
    await service.ok(['start']);
    await service.ok(['stop']);
    service.change((text) => text.replace(layout, other));
    const { code, stderr } = await service.run(['upgrade']);
    assert.equal(code, 0, stderr);
    await service.ok(['start']);
    assert.equal(await service.inside('cat /srv/version /srv/own'), '2kept\n');
    await service.ok(['stop']);
  });
});
