/** The commands and options of virt-sandbox-ctl, named as podman's: for the parser, the help and the manual page. */
import type { Options } from 'yargs';
import { type CommandEntry, flagOption as flag, textOption as text } from '../command-table.js';

const texts = (describe: string, alias?: string): Options => ({ ...text(describe, alias), array: true, nargs: 1 });

const json = flag('print JSON, as --format json');
const format = text('table or json [table]');
const all = flag('every running sandbox of yours', 'a');
const ignore = flag('pass over names of which no sandbox runs', 'i');

export const ctlCommands = {
  ps: {
    command: 'ps',
    describe: 'List the sandboxes that run',
    options: {
      all: flag('for root: also those of other users, as USER/NAME', 'a'),
      quiet: flag('print names only', 'q'),
      filter: texts('name=PATTERN: only names that this regular expression fits; repeats', 'f'),
      format,
      json,
      noheading: flag('print no line of headings'),
      'no-trunc': flag('print commands in full'),
    },
  },
  exec: {
    command: 'exec <name> <command..>',
    describe: 'Run a command in a sandbox',
    runs: true,
    options: {
      interactive: flag('pass standard input on; without it the command reads nothing', 'i'),
      tty: flag('give the command a terminal', 't'),
      detach: flag('start the command, and print its process ID inside', 'd'),
      user: text('name or number of a user inside [that of the sandbox]', 'u'),
      workdir: text('working directory inside [that of the sandbox]', 'w'),
      env: texts('NAME=VALUE sets a variable; NAME passes on the value of the caller; repeats', 'e'),
      'env-file': texts('file with one variable a line, as for --env; repeats'),
      timeout: text('kill the command after this time: 30s, 5m or 1h; a number alone is seconds; exit status 124'),
    },
  },
  cp: {
    command: 'cp <from> <to>',
    describe: 'Copy files into a sandbox, or out of it: one of both is NAME:PATH; - in place of the other is a tar',
    options: { user: text('name or number of a user inside who reads and writes there [that of the sandbox]', 'u') },
  },
  logs: {
    command: 'logs <name>',
    describe: 'Print what a detached sandbox has written',
    options: {
      follow: flag('go on until the sandbox ends', 'f'),
      since: text('only what was written since a time, such as 2026-11-28T09:00:00Z, or in the last 10s, 5m or 1h30m'),
      tail: text('only so many lines of the end [all]'),
      timestamps: flag('print the time of each line', 't'),
    },
  },
  diff: {
    command: 'diff <name>',
    describe: 'List what was added (A), changed (C) and deleted (D) in an overlay: a sandbox, or DIR of --overlay=DIR',
    options: { format, json },
  },
  screenshot: {
    command: 'screenshot <name> <file>',
    describe: 'Write a picture of the screen of a sandbox to a file, as PNG; - is standard output',
    options: {},
  },
  view: {
    command: 'view <name>',
    describe: 'Show the screen of a sandbox in a browser: print the address of a page, and serve it until the end',
    options: {
      port: text('port of 127.0.0.1 [any that is free]'),
      open: flag('open the page in a browser, with xdg-open'),
      clipboard: flag('share the clipboard of the browser with other viewers, and with a sandbox that has --clipboard'),
    },
  },
  stop: {
    command: 'stop [name..]',
    describe:
      'Stop sandboxes: SIGTERM, or the signal of the image, to the application, and the end if that does not end it',
    options: { all, ignore, time: text('seconds to wait before the end [10]', 't') },
  },
  kill: {
    command: 'kill [name..]',
    describe: 'Send a signal to the application of sandboxes',
    options: { all, signal: text('name or number of the signal [KILL]', 's') },
  },
  wait: {
    command: 'wait <name..>',
    describe: 'Wait for the end of sandboxes, and print the exit status of each',
    options: { ignore },
  },
  inspect: {
    command: 'inspect <name..>',
    describe: 'Print all that is known of sandboxes, as JSON',
    options: {},
  },
  stats: {
    command: 'stats [name..]',
    describe: 'Show what sandboxes use of the host, again and again',
    options: {
      all: flag('for root, without a name: also those of other users', 'a'),
      'no-stream': flag('print once, and exit'),
      'no-reset': flag('do not clear the screen in between'),
      interval: text('seconds in between [5]', 'i'),
      format,
      json,
    },
  },
  'pool create': {
    command: 'pool create <name> [option..]',
    describe: 'Keep sandboxes ready for virt-sandbox --pool; behind -- come options of virt-sandbox for them',
    options: { size: text('how many sandboxes wait, 1 to 64 [2]') },
  },
  'pool ls': {
    command: 'pool ls',
    describe: 'List pools',
    options: { quiet: flag('print names only', 'q'), format, json, noheading: flag('print no line of headings') },
  },
  'pool inspect': {
    command: 'pool inspect <name..>',
    describe: 'Print all that is known of pools, as JSON',
    options: {},
  },
  'pool rm': {
    command: 'pool rm [name..]',
    describe: 'End pools and the sandboxes that wait in them',
    options: {
      all: flag('every pool of yours', 'a'),
      force: flag('stop the sandboxes that were taken, too', 'f'),
      ignore: flag('pass over names of which there is no pool', 'i'),
    },
  },
} as const satisfies Record<string, CommandEntry>;

export type CtlCommandName = keyof typeof ctlCommands;

export const ctlUsage = `Usage: virt-sandbox-ctl COMMAND [OPTIONS]

Works with sandboxes that run: lists them, runs commands in them, copies files, stops them.`;

export const ctlEpilogue = `NAME is the name of a sandbox; root names a user's sandbox as USER/NAME. virt-sandbox --detach starts a
sandbox to work with. virt-sandbox-ctl COMMAND --help shows the options of a command.

Exit status: 0; 125 for a failure, the first one where there are several names; of exec that of the command,
128+N when signal N ended it, 127 when it is not found, 126 when it cannot be executed, 124 after --timeout.`;
