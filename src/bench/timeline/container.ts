/** Stages of a container, from the request for a domain to its init's greeting. Its clock is the host's. */
import { type Span, sequence, within } from './span.js';
import type { Stages } from './stages.js';

export function containerStages(stages: Stages): void {
  const create = stages.at('domain.create');
  const created = stages.at('domain.created');
  const ready = stages.at('ready');
  const { init } = stages.trace;
  if (create === undefined || created === undefined) return;
  if (!init || ready === undefined) {
    stages.add('domain', 'libvirt', create, created);
    return;
  }
  // These count from the host's boot. If the host was suspended since then, they do not fit the clock of the marks.
  const [started, answers] = [init.started, init.ready].map((microseconds) => stages.time(microseconds * 1000));
  if (started === undefined || answers === undefined || started < create || answers > ready) {
    stages.add('domain', 'libvirt', create, created);
    stages.add('process 1 of the container, greeting', 'guest', created, ready);
    return;
  }
  stages.add('libvirt, until process 1 runs', 'libvirt', create, started);
  const modules = init.modules.map(({ name, microseconds }) => [`module ${name}`, microseconds] as const);
  const parts: Span[] = within(sequence(started, modules), answers);
  stages.add('init', 'guest', started, answers, parts);
  stages.until('libvirt reports the start', 'libvirt', created);
  stages.until('opening the channel, greeting', 'guest', ready);
}
