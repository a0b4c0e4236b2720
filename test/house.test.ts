/**
 * The walls of the house: which room may import which. ARCHITECTURE.md draws the same arrows; whoever needs a new one
 * adds it to the table below, and says there why.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import test from 'node:test';

const root = join(import.meta.dirname, '..');

/** What every room of the agent may use and which uses none of them. `lifecycle/ports.ts` holds interfaces only. */
const common = ['agent/base', 'agent/time', 'agent/lifecycle/ports.ts', 'volumes/base', 'volumes/declaration'];

/** Rooms, and what each may import beside itself. A room is a folder; a file named here is a door into its room. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  agent: ['agent', 'volumes'],
  'agent/base': ['volumes/base/bounded-map.ts'],
  'agent/time': [],
  'agent/configuration': [
    'agent/base',
    'agent/issuance/allow-list.ts',
    'agent/issuance/issuer-rules.ts',
    'agent/observe',
    'volumes/base/errors.ts',
  ],
  'agent/kubernetes': common,
  'agent/keys': common,
  'agent/issuance': [...common, 'agent/kubernetes'],
  'agent/trust': [...common, 'agent/kubernetes'],
  'agent/lifecycle': ['agent/base', 'agent/time', 'volumes/base', 'volumes/declaration', 'volumes/csi/driver.ts'],
  // It hears of volumes as the lifecycle does, and reports what came of telling their programs.
  'agent/uptake': [...common, 'agent/lifecycle/uptake.ts'],
  'agent/observe': [
    'agent/kubernetes/schemas.ts',
    'agent/base',
    'agent/time',
    'agent/lifecycle',
    'volumes/base',
    'volumes/declaration',
    // The socket for probes lies beside the CSI socket, goes with it, and is kept in the same way.
    'volumes/csi/kept-socket.ts',
    'volumes/csi/socket.ts',
  ],
  // `inspect` reads what the agent reads, within the same limits, and opens keystores with passwords within those of what a pod may give.
  'agent/cli': [
    'agent/base',
    'agent/time',
    'volumes/base/errors.ts',
    'volumes/base/steps.ts',
    'volumes/declaration/limits.ts',
    'volumes/files/entries.ts',
    'volumes/keystores/derivation.ts',
    'volumes/state/limits.ts',
  ],
  volumes: ['volumes'],
  'volumes/base': ['volumes/declaration'],
  'volumes/declaration': ['volumes/base/steps.ts'],
  'volumes/files': ['volumes/base', 'volumes/declaration'],
  'volumes/keystores': ['volumes/base', 'volumes/declaration', 'volumes/files'],
  'volumes/state': ['volumes/base', 'volumes/declaration', 'volumes/files'],
  'volumes/mounts': ['volumes/base', 'volumes/declaration', 'volumes/files'],
  'volumes/csi': ['volumes/base', 'volumes/declaration', 'volumes/files', 'volumes/mounts'],
  sandbox: ['sandbox', 'agent/main.ts'],
  // The sandbox's own parts speak to an API server through the agent's client, and read the same declarations.
  'sandbox/base': ['agent/kubernetes', 'agent/time', 'volumes/base/errors.ts'],
  'sandbox/identity': ['sandbox/base'],
  'sandbox/storage': ['sandbox/base', 'sandbox/identity'],
  'sandbox/rules': ['sandbox/base', 'sandbox/identity', 'agent/trust/label-selector.ts', 'volumes/declaration'],
  'sandbox/serving': ['sandbox/base', 'sandbox/identity', 'sandbox/storage'],
  'sandbox/signers': ['sandbox/base', 'agent/kubernetes', 'volumes/declaration'],
  'sandbox/kubelet': ['sandbox/base', 'agent/kubernetes', 'volumes/csi/protocol.ts'],
  'sandbox/cluster': ['sandbox', 'agent/kubernetes'],
  'sandbox/demo': ['sandbox', 'volumes/declaration'],
  // The trial signer is a program of its own. Like the sandbox it reaches an API server through the agent's client, and it
  // logs and reads options as the agent does.
  signer: [
    'signer',
    'agent/base',
    'agent/time',
    'agent/kubernetes',
    'agent/observe/log/log.ts',
    'agent/observe/log/repetition.ts',
    'agent/configuration/option-types.ts',
    'volumes/base',
    'volumes/declaration',
  ],
  'signer/authority': ['agent/base'],
  'signer/decision': ['signer/authority', 'agent/kubernetes/objects.ts', 'volumes/declaration'],
  'signer/api': ['signer/authority', 'signer/decision', 'agent/base', 'agent/time', 'agent/kubernetes', 'volumes/base'],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

test('every import goes along an arrow of the house', () => {
  const wrong = imports()
    .filter(({ from, to }) => !isAllowed(from, to))
    .map(({ from, to }) => `${from} imports ${to}`);
  assert.deepEqual(wrong, [], 'these imports go through a wall; turn them round, or say in the table why they must be');
});

test('no files import each other in a circle', () => {
  assert.deepEqual(circles(imports()), []);
});

test('a turned arrow and a circle are both seen', () => {
  assert.equal(isAllowed('volumes/files/layout.ts', 'agent/base/errors.ts'), false);
  assert.equal(isAllowed('agent/lifecycle/pace.ts', 'agent/kubernetes/client.ts'), false);
  assert.equal(isAllowed('agent/kubernetes/pods.ts', 'agent/lifecycle/notices.ts'), false);
  assert.deepEqual(
    circles([
      { from: 'a', to: 'b' },
      { from: 'b', to: 'a' },
    ]),
    ['a > b > a'],
  );
});

test('every room of the table exists, and every folder is a room of the table', () => {
  const folders = new Set(sources().map(roomOf));
  assert.deepEqual([...folders].sort(), Object.keys(arrows).sort());
});

test('the map in ARCHITECTURE.md is the table, and so the tree', () => {
  const drawn = roomsOfMap(readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8'));
  assert.deepEqual(drawn.toSorted(), Object.keys(arrows).toSorted());
});

function sources(): string[] {
  return globSync('{agent,volumes,sandbox,signer}/**/*.ts', { cwd: root, exclude: ['**/node_modules/**'] });
}

function imports(): Import[] {
  return sources().flatMap((from) => {
    const text = readFileSync(join(root, from), 'utf8');
    const found = text.matchAll(/(?:\bfrom|\bimport) '(\.[^']+\.ts)'|\bimport\('(\.[^']+\.ts)'\)/g);
    return [...found].map(([, whole, late]) => ({ from, to: normalize(join(dirname(from), whole ?? late ?? '')) }));
  });
}

/** The first two folders of a path: what lies deeper belongs to the same room. */
function roomOf(file: string): string {
  return dirname(file).split('/').slice(0, 2).join('/');
}

function isAllowed(from: string, to: string): boolean {
  const room = roomOf(from);
  const target = roomOf(to);
  if (room === target) {
    return true;
  }
  return (arrows[room] ?? []).some((door) => door === to || door === target || (isWhole(door) && isIn(to, door)));
}

/** `agent` in the table means all of its rooms; `agent/base` that one. */
function isWhole(door: string): boolean {
  return !door.includes('/');
}

function isIn(file: string, folder: string): boolean {
  return file.startsWith(`${folder}/`);
}

function circles(all: readonly Import[]): string[] {
  const next = Map.groupBy(all, ({ from }) => from);
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      found.push([...path.slice(start), file].join(' > '));
    }
    if (start >= 0 || done.has(file)) {
      return;
    }
    for (const { to } of next.get(file) ?? []) {
      visit(to, [...path, file]);
    }
    done.add(file);
  };
  for (const { from } of all) {
    visit(from, []);
  }
  return found;
}

/** The first block of the house: a folder at the margin, its rooms below it, indented. */
function roomsOfMap(text: string): string[] {
  const [, map = ''] = /## The house[\s\S]*?```\n([\s\S]*?)```/.exec(text) ?? [];
  const rooms: string[] = [];
  let top = '';
  for (const line of map.split('\n')) {
    const [, margin, name] = /^( *)(\(the room itself\)|[\w-]+)/.exec(line) ?? [];
    if (name === undefined) {
      continue;
    }
    if (margin === '') {
      top = name;
    } else {
      rooms.push(name.startsWith('(') ? top : `${top}/${name}`);
    }
  }
  return rooms;
}
