/** Images in archives that somebody has made who would like QEMU to read more of the host. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { formatService, loadService } from '../../src/service/file.js';
import { archiveOf, type Ground, ground, INVALID, REFUSED, refused, withImage } from '../helpers/hostile-archives.js';
import { unlessProgram } from '../helpers/images.js';
import type { TarMember } from '../helpers/tar-members.js';

describe('an image of an archive', { skip: unlessProgram('qemu-img') }, () => {
  const qemuImg = (...words: readonly string[]) => execFileSync('qemu-img', words, { stdio: 'ignore' });

  it('names no other file of this host', async (t) => {
    const made: [RegExp, (path: string, at: Ground) => void][] = [
      [/backing file/, (path, { victim }) => qemuImg('create', '-f', 'qcow2', '-F', 'raw', '-b', victim, path)],
      [/backing file/, (path) => qemuImg('create', '-u', '-f', 'qcow2', '-F', 'raw', '-b', 'json:{}', path, '1M')],
      [
        /data file/,
        (path, { directory }) =>
          qemuImg('create', '-f', 'qcow2', '-o', `data_file=${directory}/data,data_file_raw=on`, path, '1M'),
      ],
      [/other files/, (path) => qemuImg('create', '-f', 'raw', path, '1M')],
      [/other files/, (path) => qemuImg('create', '-f', 'vmdk', path, '1M')],
      [
        /snapshots/,
        (path) => {
          qemuImg('create', '-f', 'qcow2', path, '1M');
          qemuImg('snapshot', '-c', 's', path);
        },
      ],
      [
        /key/,
        (path) =>
          qemuImg(
            ...['create', '-f', 'qcow2', '--object', 'secret,id=s,data=x'],
            ...['-o', 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10', path, '1M'],
          ),
      ],
      [
        /features/,
        (path) => {
          qemuImg('create', '-f', 'qcow2', path, '1M');
          const image = readFileSync(path);
          image[79] = 2;
          writeFileSync(path, image);
        },
      ],
    ];
    for (const [message, make] of made) {
      const [at, archive] = await withImage(t, make);
      await refused(at, archive, REFUSED, message);
    }
  });

  it('uses each part of itself once', async (t) => {
    const [at, archive] = await withImage(t, (path) => {
      qemuImg('create', '-f', 'qcow2', path, '64M');
      execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write 0 128k', path], { stdio: 'ignore' });
      const image = readFileSync(path);
      const first = Number(image.readBigUInt64BE(Number(image.readBigUInt64BE(40))) & 0x00ff_ffff_ffff_fe00n);
      image.copy(image, first + 8, first, first + 8);
      writeFileSync(path, image);
    });
    await refused(at, archive, INVALID, /damaged/);
  });

  it('is a file, and alone', async (t) => {
    const at = await ground(t);
    const { config, settings } = await loadService(at.roots, 'model');
    const overlay = { type: 'image', path: '/x.qcow2' } as const;
    const text = await formatService({ config: { ...config, overlay }, settings });
    const members: TarMember[][] = [
      [{ name: 'state.qcow2', flag: '2', link: at.victim }],
      [{ name: 'state.qcow2', flag: '1', link: at.victim }],
      [{ name: 'other', content: 'x' }],
      [
        { name: 'state.qcow2', content: 'x' },
        { name: 'more', content: 'x' },
      ],
    ];
    for (const each of members)
      await refused(at, archiveOf(text, { state: { type: 'image' }, members: each }), REFUSED);
    await refused(at, archiveOf(text, { state: { type: 'image' }, members: [] }), INVALID);
  });

  it('lies at a path that its archive does not choose', async (t) => {
    const snapshot = (path: string) => {
      qemuImg('create', '-f', 'qcow2', path, '1M');
      qemuImg('snapshot', '-c', 's', path);
    };
    // What tar(1) would take for more than a name, and a name that is too long for a draft of it.
    for (const state of ['/x/a.q,;s,^[^q]*q,victim', `/x/a.${'q'.repeat(240)}`]) {
      const [at, archive] = await withImage(t, snapshot, state);
      for (const _time of [1, 2]) await refused(at, archive, REFUSED, /snapshots/);
    }
  });
});
