/**
 * `npm run lock-system-packages`: looks up which versions of Debian's packages are the newest, and writes their checksums to
 * system-packages.json, from which images are made. Needs apt, on a machine whose package sources are Debian's; apt checks
 * Debian's signature of the index. It touches nothing of the machine's own apt.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { architectures } from './images.ts';
import { Refusal, run } from './programs.ts';
import { type Lock, lockFile, packageNames, type SystemPackage, suite } from './system-packages.ts';

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Debian's newest packages for every architecture. @param directory for apt's own files */
function newest(directory: string): Lock {
  for (const part of ['lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(directory, part), { recursive: true });
  }
  writeFileSync(join(directory, 'status'), '');
  writeFileSync(join(directory, 'sources.list'), sources());
  const packages = architectures.flatMap((architecture) => {
    const apt = [
      ...[`Dir::State::Lists=${directory}/lists`, `Dir::State::status=${directory}/status`],
      ...[`Dir::Cache=${directory}/cache`, `Dir::Etc::sourcelist=${directory}/sources.list`],
      ...['Dir::Etc::sourceparts=/dev/null', `APT::Architecture=${architecture}`, `APT::Architectures=${architecture}`],
      ...[
        'APT::Sandbox::User=root',
        'Acquire::Languages=none',
        'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
      ],
    ].map((setting) => `--option=${setting}`);
    run('apt-get', [...apt, '--error-on=any', 'update']);
    const found = run('apt-cache', [...apt, '--no-all-versions', 'show', ...packageNames]).toString();
    return found.trim().split(/\n\n+/).map(entry);
  });
  return { suite, snapshot: new Date().toISOString().replace(/[-:]|\.\d+/g, ''), packages };
}

/** The machine's own sources, for the suite of the images. */
function sources(): string {
  const format = '$(ORIGIN) $(REPO_URI) $(SUITE) $(CODENAME)';
  const targets = run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']).toString();
  const archives = new Set(targets.split('\n').flatMap((line) => /^Debian (\S+) /.exec(line)?.[1] ?? []));
  if (archives.size === 0) {
    throw new Refusal('apt has no sources of Debian: this needs a machine with Debian, and apt-get update before');
  }
  return [...archives]
    .flatMap((uri) =>
      /security\/?$/.test(uri)
        ? [[uri, `${suite}-security`]]
        : [
            [uri, suite],
            [uri, `${suite}-updates`],
          ],
    )
    .map(([uri, name]) => `deb [signed-by=${keyring}] ${uri} ${name} main\n`)
    .join('');
}

/** A stanza of apt's index. */
function entry(stanza: string): SystemPackage {
  const field = (name: string): string => new RegExp(`^${name}: (.+)$`, 'm').exec(stanza)?.[1] ?? '';
  return {
    name: field('Package'),
    architecture: field('Architecture'),
    version: field('Version'),
    path: field('Filename'),
    sha256: field('SHA256'),
  };
}

const directory = join(tmpdir(), `system-packages-${process.pid}`);
try {
  writeFileSync(lockFile, `${JSON.stringify(newest(directory), undefined, 2)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Refusal ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
