/** virt-sandbox-image(1). The table of its commands is in src/cli/image. */
import { imageCommands } from '../../src/cli/image/options.js';
import type { Program } from '../program-description.js';
import { virtSandbox } from './virt-sandbox.1.js';

const page: Program = {
  name: 'virt-sandbox-image',
  summary: 'fetch OCI images and run sandboxes of them',
  usage: '*COMMAND* [*OPTIONS*]',
  description: [
    'Fetches OCI images from registries and from archives of this host, and keeps each as a file system that sandboxes mount read-only. Nothing of Docker, podman or skopeo is needed, and no image is unpacked on the host. Commands and options have the names that they have in podman(1).',
    '*IMAGE* is one of a registry, with or without `docker://`: `debian:13`, `quay.io/fedora/fedora:43`, `localhost:5000/x@sha256:`*…*. Without a host it is one of Docker Hub, without a tag `latest`. Or it is one of this host: `oci:`*DIR*[`:`*TAG*], `oci-archive:`*FILE*[`:`*TAG*], `docker-archive:`*FILE*[`:`*NAME*] or `tar:`*FILE*, a tar of a root. `virt-builder:///`*NAME*[`?arch=`*ARCHITECTURE*] is what virt-builder(1) makes of a template, where that is installed. Of an image that is there every spelling of its name does, and eight digits or more of its id, the digest of its manifest.',
    'A name means the image that it meant when it was pulled. `pull` asks the registry again, and `run` does with `--pull always`. Layers that another image has are not fetched again, and a pull that broke off goes on where it was.',
    '`diff` of one image lists what its top layer adds (`A`), changes (`C`) and deletes (`D`); what that layer has counts as changed whatever is in it. `diff` of two lists where the file system of the second differs from that of the first. Times do not count: an image that is built again has others.',
    '`run` takes every option of virt-sandbox(1) but `--root`, before *IMAGE*; what follows *IMAGE* is the command. Without one the image’s own runs.',
    '`login` asks for what is not given, and does not show the password. It tries both at the registry, or where containers-registries.conf(5) says that it is, says so when that asked for no password, and writes them to the auth file, where whoever may read that file can read them. podman(1) and skopeo(1) find them there too. It warns when the file has something else for the registry that pulls use first. `logout` removes them from that file, and names files that still have some, or a helper that may.',
    '`ls` is `list` and `show` is `inspect`. The words of libvirt-sandbox are understood: `prepare` is `pull`, `purge` is `rm`, and `docker:///ubuntu?tag=15.04` is `ubuntu:15.04`. `list -s docker` prints what is there in that form, and `list -s virt-builder` the templates that virt-builder(1) offers.',
    'An image of `virt-builder:` is made anew whenever it is pulled: virt-builder(1) makes a disk, and virt-tar-out(1) reads its files. Both start a machine of libguestfs(3), which takes half a minute without KVM, and half a gigabyte and three times its files in the store meanwhile. Environment variables of libguestfs(3) count, but for `TMPDIR`.',
  ],
  options: {},
  commands: imageCommands,
  details: {
    platform: { value: 'PLATFORM', complete: { words: ['linux/amd64', 'linux/arm64', 'linux/386'] } },
    authfile: { value: 'FILE', complete: 'file' },
    'tls-verify': { value: 'BOOLEAN', complete: { words: ['true', 'false'] } },
    source: { value: 'SOURCE', complete: { words: ['docker', 'virt-builder'] } },
    username: { value: 'USER' },
    pull: { value: 'POLICY', complete: { words: ['missing', 'always', 'never'] } },
  },
  runs: 'nothing',
  argumentsOf: {
    pull: 'image',
    inspect: 'image',
    history: 'image',
    diff: 'image',
    tag: 'image',
    rm: 'image',
    verify: 'image',
    run: 'image',
  },
  sections: [
    {
      title: 'Exit status',
      body: [
        {
          terms: [
            ['`0`', 'Success.'],
            ['`1`', '`verify` found damage, or `diff` of two images a difference.'],
            ['of the command', '`run`: as virt-sandbox(1) has it.'],
            ['`125`', 'A failure. One line on standard error says what happened and what to do.'],
            [
              '`129`, `130`, `143`',
              '`SIGHUP`, `SIGINT` or `SIGTERM` interrupted it. What `rm`, `prune` or `verify --remove` has removed until then it prints.',
            ],
          ],
        },
      ],
    },
    {
      title: 'Files',
      body: [
        {
          terms: [
            [
              '`/var/cache/virt-sandbox/oci`, `~/.cache/virt-sandbox/oci`',
              'The images of root, of another user: layers and file systems, each by its digest. `XDG_CACHE_HOME` moves them.',
            ],
            [
              '`$XDG_RUNTIME_DIR/containers/auth.json`, `~/.config/containers/auth.json`, `~/.docker/config.json`',
              'Where users and passwords of registries are looked for; `login` writes the first one.',
            ],
          ],
        },
      ],
    },
    {
      title: 'Examples',
      body: [
        'An image, and a command in it:',
        { block: 'virt-sandbox-image pull debian:13\nvirt-sandbox-image run debian:13 -- cat /etc/os-release' },
        'One of a registry with a password, which another program knows:',
        {
          block:
            'pass registry | virt-sandbox-image login --username me --password-stdin registry.example:5000\nvirt-sandbox-image pull registry.example:5000/team/tool',
        },
        'What the last step of a build has changed, and where two versions differ:',
        { block: 'virt-sandbox-image diff tool:2\nvirt-sandbox-image diff tool:1 tool:2' },
        'Room on the disk:',
        { block: 'virt-sandbox-image prune --all --dry-run\nvirt-sandbox-image prune --all' },
      ],
    },
    {
      title: 'See also',
      body: ['virt-sandbox(1), virt-sandbox-ctl(1), containers-auth.json(5), podman(1), skopeo(1), virt-builder(1)'],
    },
  ],
};

const { run } = imageCommands;

/** `run` has the options of virt-sandbox, which that page describes. */
export const virtSandboxImage: Program = {
  ...page,
  offered: {
    ...page,
    commands: { ...imageCommands, run: { ...run, options: { ...virtSandbox.options, ...run.options } } },
    details: { ...virtSandbox.details, ...page.details },
  },
};
