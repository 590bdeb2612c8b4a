/** virt-sandbox-image against registries and files of this host: what it prints, and what it leaves. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { testImage, testIndex, writeLayout } from '../../../helpers/oci/image.js';
import { imageProgram } from '../../../helpers/oci/image-program.js';
import { LOWER, pulledImage, UPPER } from '../../../helpers/oci/pulled-image.js';
import { imageIn, startRegistry } from '../../../helpers/oci/registry.js';

const image = testImage([LOWER, UPPER], {
  config: { Entrypoint: ['/bin/sh', '-c'], Cmd: ['echo hello'], Env: ['A=b'], Labels: { 'a.b': 'c' } },
});
const ID = image.manifest.digest;
const SHORT = ID.slice('sha256:'.length, 'sha256:'.length + 12);

const pulled = (context: TestContext) => pulledImage(context, image);

describe('virt-sandbox-image pull', () => {
  it('says what came, and what is up to date', async (context) => {
    const [program, registry] = [imageProgram(context), await startRegistry(context)];
    registry.add(image, 'v1');
    const name = imageIn(registry, 'v1');
    assert.match(await program.out('pull', name), new RegExp(`^${name}: pulled, \\d+ B, ${ID}\n$`));
    assert.equal(await program.out('prepare', `docker://${name}`), `${name}: is up to date, ${ID}\n`);
    assert.equal(await program.out('pull', '-q', name), `${ID}\n`);
    const found = (await program.json('pull', name)) as Record<string, unknown>;
    assert.deepEqual([found['name'], found['id'], found['new']], [`docker://${name}`, ID, false]);
    assert.ok(existsSync((found['root'] as { path: string }).path));
  });

  it("takes libvirt-sandbox's URIs, and lists them", async (context) => {
    const [program, , name] = await pulled(context);
    const [host = '', path = ''] = name.split(/\/(.*):v1/);
    const uri = `docker://${host}/${path}?tag=v1`;
    assert.equal(await program.out('list', '-s', 'docker'), `${uri}\n`);
    assert.deepEqual(await program.json('list', '-s', 'docker'), [uri]);
    assert.equal(await program.out('prepare', uri), `${name}: is up to date, ${ID}\n`);
    await program.fails(['list', '-s', 'other'], /neither docker nor virt-builder; see virt-sandbox-image list --help/);
    await program.out('purge', uri);
    assert.deepEqual(await program.json('list'), []);
  });

  it('takes images of this host', async (context) => {
    const program = imageProgram(context);
    const [layout, tar] = [join(program.directory, 'layout'), join(program.directory, 'root.tar')];
    writeLayout(layout, image.blobs, [{ blob: image.manifest, tag: 'one' }]);
    writeFileSync(tar, LOWER);
    await program.out('pull', `oci:${layout}:one`);
    await program.out('pull', `tar:${tar}`);
    assert.equal(await program.out('list', '-q'), `oci:${layout}:one\ntar:${tar}\n`);
    assert.equal(await program.out('list', '-s', 'docker'), '');
    // As it is shown, and not as the store has it, with docker:// before.
    await program.out('tag', `tar:${tar}`, 'zoo.example/x:1');
    assert.equal(await program.out('list', '-q'), `oci:${layout}:one\ntar:${tar}\nzoo.example/x:1\n`);
    await program.out('rm', 'zoo.example/x:1');
    assert.match(await program.out('rm', `oci:${layout}:one`, `tar:${tar}`), /^oci:.*: removed, .*\ntar:.*: removed/);
  });

  it('takes no path that it could not be run from', async (context) => {
    const program = imageProgram(context);
    const directory = join(program.directory, 'a:b');
    writeLayout(join(directory, 'layout'), image.blobs, [{ blob: image.manifest, tag: 'one' }]);
    const words = ['pull', 'oci:layout:one'];
    await program.fails(words, /the path '.*a:b\/layout' of an image has a colon in it; /, { cwd: directory });
    assert.deepEqual(await program.json('list'), []);
  });

  it('fails in one line, and leaves nothing', async (context) => {
    const [program, registry] = [imageProgram(context), await startRegistry(context)];
    const arm = testImage([UPPER], { architecture: 'arm64' });
    registry.add(arm, 'arm', testIndex([{ blob: arm.manifest, platform: 'linux/arm64' }]));
    await program.fails(['pull', imageIn(registry, 'none')], /none/);
    await program.fails(['pull', imageIn(registry, 'arm'), '--platform=amd64'], /only for linux\/arm64; .*--platform/);
    await program.fails(['pull', 'Debian'], /'Debian' names no image: its name has capital letters/);
    await program.fails(['pull', 'x', '--platform', 'a/b/c/d'], /is no platform/);
    await program.fails(
      ['prepare', 'virt-builder:///--list'],
      /names no template of virt-builder; write virt-builder:/,
    );
    assert.deepEqual(await program.json('list'), []);
    assert.deepEqual(readdirSync(join(program.store, 'partial')), []);
    await program.out('pull', imageIn(registry, 'arm'), '--platform', 'aarch64');
    assert.match(await program.out('list'), / {2}linux\/arm64 {2}/);
  });
});

describe('an image that is there', () => {
  it('is listed', async (context) => {
    const [program, , name] = await pulled(context);
    const [headings = '', row = ''] = (await program.out('ls')).split('\n');
    assert.match(headings, /^NAME +PLATFORM +ID +SIZE +PULLED +USED$/);
    assert.match(row, new RegExp(`^${name} +linux/amd64 +${SHORT} +1\\.1 MB +\\d+ (?:s|min) ago +\\d+ (?:s|min) ago$`));
    const [found] = (await program.json('list')) as Record<string, unknown>[];
    assert.deepEqual([found?.['name'], found?.['id'], found?.['usedBy']], [`docker://${name}`, ID, []]);
  });

  it('is not listed where none is', async (context) => {
    const program = imageProgram(context);
    const { code, out, stderr } = await program.run(['list']);
    assert.deepEqual([code, out], [0, '']);
    assert.match(stderr, /^virt-sandbox-image: there is no image in .*\/oci\n$/);
  });

  it('is found by its name and its id, and by nothing else', async (context) => {
    const [program, registry, name] = await pulled(context);
    const repository = name.replace(/:v1$/, '');
    for (const word of [name, `docker://${name}`, `${repository}@${ID}`, `${name}@${ID}`, SHORT, ID, SHORT.slice(0, 8)])
      assert.match(await program.out('inspect', word), new RegExp(`^name: ${name}\nid: ${ID}\n`), word);
    const elsewhere = `${registry.host}/other@${ID}`;
    for (const word of [repository, SHORT.slice(0, 7), 'debian', elsewhere, `${repository}:v2@${ID}`])
      await program.fails(['inspect', word], /there is no image '.*' in .*\/oci; pull it, or see what is there with/);
  });

  it('is shown as its config has it', async (context) => {
    const [program, , name] = await pulled(context);
    const text = await program.out('show', name);
    for (const line of [
      'platform: linux/amd64',
      'entrypoint: /bin/sh -c',
      'command: "echo hello"',
      'variable: A=b',
      'label: a.b=c',
    ])
      assert.ok(text.split('\n').includes(line), text);
    const found = (await program.json('inspect', name)) as Record<string, unknown>;
    assert.deepEqual(found['entrypoint'], ['/bin/sh', '-c']);
    assert.deepEqual(
      (found['layers'] as { digest: string }[]).map(({ digest }) => digest),
      image.layers.map(({ digest }) => digest),
    );
  });

  it('has further names, and is removed with the last one', async (context) => {
    const [program, , name] = await pulled(context);
    assert.equal(await program.out('tag', SHORT, 'mine:1'), `docker.io/library/mine:1: ${ID}\n`);
    const named = (await program.json('tag', SHORT, 'mine:1')) as Record<string, unknown>;
    assert.deepEqual([named['name'], named['id'], named['local']], ['docker://docker.io/library/mine:1', ID, true]);
    assert.match(
      await program.out('inspect', 'mine:1'),
      new RegExp(`^name: docker.io/library/mine:1\nalso: ${name}\n`),
    );
    await program.fails(
      ['rm', SHORT],
      /'[0-9a-f]+' has the names 127\.[^,]*:v1, docker\.io\/library\/mine:1; remove each by its name/,
    );
    assert.equal(await program.out('rm', 'mine:1'), 'mine:1: removed, 0 B\n');
    const { code, out, stderr } = await program.run(['rm', 'mine:1', SHORT]);
    assert.equal(code, 125);
    assert.match(out, new RegExp(`^${SHORT}: removed, 1\\.1 MB\n$`));
    assert.match(stderr, /^virt-sandbox-image: image: there is no image 'mine:1' in .*\n$/);
    assert.deepEqual(readdirSync(join(program.store, 'blobs', 'sha256')), []);
    assert.deepEqual(await program.json('list'), []);
  });

  it('gets no name that says already what it means', async (context) => {
    const [program, , name] = await pulled(context);
    for (const given of [`x@${ID}`, 'tar:/x', 'oci:x:y'])
      await program.fails(['tag', name, given], /cannot name another image: it says which one it means/);
  });

  it('is what prune keeps, and what prune --all removes', async (context) => {
    const [program, , name] = await pulled(context);
    assert.equal(await program.out('prune'), '0 blobs and 0 file systems removed, 0 B\n');
    const partial = join(program.store, 'partial', '0'.repeat(64));
    writeFileSync(partial, 'half');
    const left = ', and 1 file of pulls that did not end, 4 B\n';
    assert.equal(await program.out('prune', '--dry-run'), `0 blobs and 0 file systems would be removed${left}`);
    const json = (await program.json('prune', '--dry-run')) as { leftovers: string[] };
    assert.deepEqual(json.leftovers, ['0'.repeat(64)]);
    assert.equal(await program.out('prune'), `0 blobs and 0 file systems removed${left}`);
    assert.ok(!existsSync(partial));
    const dry = await program.out('prune', '--all', '--dry-run');
    assert.match(dry, new RegExp(`^${name} \\(linux/amd64\\): would be removed\n4 blobs and 1 file system would be`));
    assert.equal(await program.out('list', '-q'), `${name}\n`);
    const found = (await program.json('prune', '-a')) as { dryRun: boolean; names: object[]; bytes: number };
    assert.deepEqual([found.dryRun, found.names], [false, [{ name: `docker://${name}`, platform: 'linux/amd64' }]]);
    assert.deepEqual(await program.json('list'), []);
  });

  it('tells platforms apart', async (context) => {
    const [program, registry] = [imageProgram(context), await startRegistry(context)];
    const arm = testImage([UPPER], { architecture: 'arm64' });
    registry.addBlob(...arm.blobs);
    const both = testIndex([
      { blob: arm.manifest, platform: 'linux/arm64' },
      { blob: image.manifest, platform: 'linux/amd64' },
    ]);
    registry.add(image, 'both', both);
    const name = imageIn(registry, 'both');
    for (const platform of ['amd64', 'arm64']) await program.out('pull', name, '--platform', platform);
    await program.fails(['inspect', name], /is there for linux\/amd64, linux\/arm64; choose one with --platform/);
    assert.match(await program.out('inspect', name, '--platform', 'arm64'), new RegExp(`\nindex: ${both.digest}\n`));
    const repository = name.replace(/:both$/, '');
    for (const words of [['--platform=arm64', name], [arm.manifest.digest], [`${repository}@${arm.manifest.digest}`]]) {
      await program.out('pull', name, '--platform', 'arm64');
      await program.out('rm', ...words);
      assert.match(await program.out('inspect', name), new RegExp(`^name: ${name}\nid: ${ID}\n`), words.join(' '));
    }
  });
});

describe('what an image says', () => {
  it('reaches no terminal unescaped', async (context) => {
    const [program, registry] = [imageProgram(context), await startRegistry(context)];
    const evil = '\u001b]0;x\u0007\r\nname: fake\u202e';
    const config = {
      Entrypoint: [evil],
      Cmd: [evil],
      Env: [`A=${evil}`],
      Labels: { [evil]: evil },
      Volumes: { [evil]: {} },
    };
    const history = [{ created: evil, created_by: evil }];
    registry.add(testImage([LOWER], { config, document: { created: evil, history } }), 'evil');
    const name = imageIn(registry, 'evil');
    await program.out('pull', name);
    for (const words of [
      ['inspect'],
      ['inspect', '--json'],
      ['history'],
      ['history', '--no-trunc'],
      ['history', '--json'],
    ]) {
      const [command = '', ...options] = words;
      const shown = await program.out(command, name, ...options);
      assert.doesNotMatch(shown, /[^\n\P{Cc}]|\p{Cf}/u, words.join(' '));
      assert.doesNotMatch(shown, /^name: fake/m);
    }
    assert.match(await program.out('history', name), /\\u\{1b\}\]0;x/);
  });
});

describe('virt-sandbox-image run', () => {
  it('refuses what the image decides, and other policies', async (context) => {
    const program = imageProgram(context);
    await program.fails(['run', '-r', '/', 'x'], /--root is no option of run: the image is the root/);
    await program.fails(['run', '--pool=p', 'x'], /--pool is no option of run/);
    await program.fails(['run', '--pull', 'often', 'x'], /--pull cannot be .often.; give missing, always, never/);
    await program.fails(['run', '--pull=never', 'localhost:1/x'], /is not in the store for linux\/amd64/);
    await program.fails(['run', 'Debian'], /its name has capital letters/);
  });
});
