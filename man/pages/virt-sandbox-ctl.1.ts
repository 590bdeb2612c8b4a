/** virt-sandbox-ctl(1). The tables of its commands are in src/cli. */
import { ctlCommands } from '../../src/cli/ctl/options.js';
import type { Program } from '../program-description.js';

export const virtSandboxCtl: Program = {
  name: 'virt-sandbox-ctl',
  summary: 'work with sandboxes that run',
  usage: '*COMMAND* [*OPTIONS*]',
  description: [
    'Lists the sandboxes that run, runs commands in them, copies files, and stops them. `virt-sandbox --detach` starts a sandbox to work with; see virt-sandbox(1). A sandbox that a terminal or a program holds can be worked with, too. Commands and options have the names that they have in podman(1).',
    '*NAME* is the name of a sandbox. A user works with the sandboxes of that user alone. Root names a user’s sandbox as *USER*`/`*NAME*.',
    '`exec` reads options up to *NAME*; what follows is the command with its arguments. A command with a terminal of its own (`-it`) ends with `Ctrl+]` too: the sandbox goes on. `INT`, `TERM`, `HUP` and other signals go to the command.',
    'In `cp`, a path inside is *NAME*`:`*PATH*, and a path of the host that has a colon begins with `./` or `/`. *PATH* counts from `/`. What is copied into a directory keeps its name; *PATH*`/.` stands for what is in a directory. What is copied in belongs to the user inside, and what is copied out to the caller. With `-` in place of the path of the host, a tar of standard input is unpacked in the directory *PATH*, or one of *PATH* is written to standard output: the tar of the sandbox does it.',
    '`diff` says what the sandbox *NAME*, which has `--overlay`, has changed of its root. In place of *NAME* it takes the *DIR* of `--overlay=`*DIR*, which begins with `/` or `./`; that is for root. Each line has `A` (added), `C` (changed) or `D` (deleted) and a path. A file that is as in the root in kind, mode, owner, size and time counts as unchanged, and a directory in which something has changed as changed. `--json` prints the lists `added`, `changed` and `deleted`. A directory that was renamed is deleted and added, with all that is in it. What the sandbox did not see of the root, and directories that the caller may not read, count as empty. If programs change files meanwhile it may fail; ask again. Only the user whose sandbox it is may ask, and not root for *USER*`/`*NAME*. It is no audit: a machine says itself what it has changed.',
    '`view` prints the address of a page that shows the screen of *NAME*, with its keyboard and pointer, and serves it at `127.0.0.1` until `Ctrl+C` or the end of the sandbox. Who has the address can look and type; other users of the host do not see it. Without `--clipboard` no text of either clipboard goes to the other side. With it, other viewers of the screen can read what is copied in the browser, and replace it, and so can what runs in the sandbox as far as its own `--clipboard` says; see virt-sandbox(1).',
    '`pool create` starts sandboxes that wait, and prints *NAME* when the first one does. `virt-sandbox --pool` *NAME* takes one in the time of a command, and another one is started in its place. The words behind `--` are options of virt-sandbox(1), without a command. `pool rm` refuses while sandboxes run that were taken; with `--force` they are stopped too. A pool is its user’s alone.',
  ],
  options: {},
  commands: ctlCommands,
  details: {
    filter: { value: 'FILTER', complete: { words: ['name='] } },
    format: { value: 'FORMAT', complete: { words: ['table', 'json'] } },
    user: { value: 'USER', complete: 'user' },
    workdir: { value: 'DIR' },
    env: { value: 'NAME[=VALUE]' },
    'env-file': { value: 'FILE', complete: 'file' },
    timeout: { value: 'TIME' },
    since: { value: 'TIME' },
    tail: { value: 'NUMBER' },
    time: { value: 'SECONDS' },
    signal: { value: 'SIGNAL', complete: { words: ['TERM', 'KILL', 'INT', 'HUP', 'QUIT', 'USR1', 'USR2'] } },
    interval: { value: 'SECONDS' },
    size: { value: 'NUMBER' },
    port: { value: 'PORT' },
  },
  runs: 'nothing',
  argumentsOf: {
    exec: 'sandbox',
    cp: 'sandbox-path',
    logs: 'sandbox',
    diff: 'sandbox',
    screenshot: 'sandbox',
    view: 'sandbox',
    stop: 'sandbox',
    kill: 'sandbox',
    wait: 'sandbox',
    inspect: 'sandbox',
    stats: 'sandbox',
    'pool inspect': 'pool',
    'pool rm': 'pool',
  },
  sections: [
    {
      title: 'Exit status',
      body: [
        {
          terms: [
            ['`0`', 'Success.'],
            ['of the command', '`exec`: the status of the command.'],
            ['`128+`*N*', '`exec`: signal *N* ended the command. `141`: nobody reads its output any more.'],
            ['`127`', '`exec`: the command is not found.'],
            ['`126`', '`exec`: the command cannot be executed.'],
            ['`124`', '`exec`: the command was killed after `--timeout`.'],
            [
              '`125`',
              'A failure. One line on standard error says what happened and what to do. Where there are several names, each is done, and the first failure counts.',
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
              '`/run/libvirt-sandbox/`*NAME*, `~/.cache/libvirt-sandbox/`*NAME*',
              'The sandbox *NAME* that runs: of root, of another user. Its owner and root may enter.',
            ],
            [
              '`/run/libvirt-sandbox-pools/`*NAME*, `~/.cache/libvirt-sandbox-pools/`*NAME*',
              'The pool *NAME*: of root, of another user. Only that user may enter.',
            ],
          ],
        },
      ],
    },
    {
      title: 'Examples',
      body: [
        'A sandbox that stays, a command in it, a shell in it, and its end:',
        {
          block:
            'virt-sandbox --detach -n box\nvirt-sandbox-ctl exec box uname -r\nvirt-sandbox-ctl exec -it box bash\nvirt-sandbox-ctl stop box',
        },
        'Input for a command, and a file of its output:',
        { block: 'tar -c . | virt-sandbox-ctl cp - box:/tmp\nvirt-sandbox-ctl cp box:/tmp/result .' },
        'What an installation has changed:',
        {
          block: 'virt-sandbox --overlay=/var/lib/box -p -- dpkg -i ./program.deb\nvirt-sandbox-ctl diff /var/lib/box',
        },
        'And what a sandbox that runs has changed, wherever its overlay is:',
        {
          block:
            'virt-sandbox --detach -n new --overlay -p\nvirt-sandbox-ctl exec new dpkg -i ./program.deb\nvirt-sandbox-ctl diff new',
        },
        'What a sandbox has written in the last ten minutes, and what it writes now:',
        { block: 'virt-sandbox-ctl logs -f --since 10m box' },
        'What a sandbox with `--graphics` shows:',
        { block: 'virt-sandbox-ctl screenshot box screen.png\nvirt-sandbox-ctl view --open box' },
        'A pool of two, and commands that need not wait for a start:',
        {
          block:
            'virt-sandbox-ctl pool create jobs --size 2 -- --memory 1G\nvirt-sandbox --pool jobs -- uname -r\nvirt-sandbox-ctl pool rm jobs',
        },
      ],
    },
    { title: 'See also', body: ['virt-sandbox(1), virt-sandbox-bake(1), podman(1)'] },
  ],
};
