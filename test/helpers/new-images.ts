/** Services of an image whose name means another one later, in machines and in containers alike. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Way } from './connections.js';
import { uniqueName } from './leftovers.js';
import { removeServices } from './making-services.js';
import type { TestImage } from './oci/image.js';
import { imageIn, startRegistry } from './oci/registry.js';
import { imageOfBusybox } from './oci/root-images.js';
import { createdService, TestService } from './services.js';

/** Images of a service that does nothing. */
export function version(number: number): TestImage {
  const data = `${number}\n`;
  const files = ['changed', 'opened', 'removed', `only${number}`];
  const entries = files.map((name) => ({ name: `srv/${name}`, data }));
  return imageOfBusybox([{ name: 'srv/', type: '5' }, { name: 'srv/same', data: 'same\n' }, ...entries], {
    Cmd: ['sh', '-c', 'exec sleep 1000'],
  });
}

/** Written over the first one. */
export const WRITE = 'cd /srv; echo more >>changed; : >>opened; rm removed; echo own >own; touch same';
export const LOOK = 'cd /srv; ls; cat changed opened same own';

/** What is seen of that over an image. */
export function seenOver(number: number): string {
  return `changed\nonly${number}\nopened\nown\nsame\n1\nmore\n${number}\nsame\nown\n`;
}

interface Upgraded {
  readonly files: readonly { readonly path: string; readonly verdict: string }[];
  readonly unknown?: string;
  readonly image: { readonly before: string; readonly now: string };
}

/** Defines the test. @param given options of create: where the state is */
export function itTakesNewImages(way: Way, what: string, given: readonly string[] = []): void {
  it(`stays on its image when the name means another one, until it is upgraded, with its state in ${what}`, async (t) => {
    const registry = await startRegistry(t);
    const [one, two] = [version(1), version(2)];
    registry.add(one, 'v1');
    const root = `docker://${imageIn(registry, 'v1')}`;
    const service = await createdService(t, way, [...given, '--pull', 'always', '-r', root]);
    await service.ok(['start']);
    await service.inside(WRITE);
    registry.add(two, 'v1');
    const asked = registry.requests.length;
    await service.ok(['restart']);
    assert.equal(await service.inside(LOOK), seenOver(1));
    assert.equal(registry.requests.length, asked, 'no registry is asked at a start');
    await service.ok(['stop']);
    // Each is a boot of a machine.
    const isBrief = given.length > 0;
    const clone = new TestService(uniqueName(), way);
    t.after(() => removeServices([clone.name], way.options));
    if (!isBrief) await service.ok(['clone'], [clone.name]);

    const expected = ['conflict /srv/changed', 'hidden /srv/opened', 'conflict /srv/removed'];
    for (const isDry of isBrief ? [false] : [true, false]) {
      const { out, code, stderr } = await service.run(['upgrade', '--json', ...(isDry ? ['--dry-run'] : [])]);
      assert.equal(code, 0, stderr);
      const { files, unknown, image } = JSON.parse(out) as Upgraded;
      assert.deepEqual([files.map(({ verdict, path }) => `${verdict} ${path}`), unknown], [expected, undefined]);
      assert.deepEqual([image.before, image.now], [one.manifest.digest, two.manifest.digest]);
    }
    if (!isBrief) {
      // As if it had been killed before its last step.
      service.change((text) => text.replace(two.manifest.digest, one.manifest.digest));
      await service.fails(['start'], /belongs to another image than .*virt-sandbox-service upgrade/);
      const finished = await service.run(['upgrade']);
      assert.deepEqual([finished.code, finished.out], [0, ''], finished.stderr);
    }
    const again = await service.run(['upgrade']);
    assert.deepEqual([again.code, again.out], [0, '']);
    assert.match(again.stderr, new RegExp(` is of the image that ${root} means: ${two.manifest.digest}\n$`));
    await service.ok(['start']);
    assert.equal(await service.inside(LOOK), seenOver(2));
    await service.ok(['stop']);
    if (isBrief) return;
    // The name means the other one in the store as well by now.
    await clone.ok(['start']);
    assert.equal(await clone.inside(LOOK), seenOver(1));
    await clone.ok(['stop']);
  });
}
