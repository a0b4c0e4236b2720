/**
 * What the model of `model.test.ts` says of a volume, held against volumes: each course that its writes can take, deaths between any two
 * of them included, is taken on a tmpfs, and after every write, and by every agent that starts, the volume is read as the model has it.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { IssuedChain, OpenVolume } from '../../volumes/base/volume.ts';
import { createVolumeStore } from '../../volumes/store.ts';
import { certificateSource, makeRecord, makeTarget, mountSkip, temporaryDirectory } from '../volumes/support.ts';
import { isLongForm } from './form.ts';
import { actionsIn, keyOf } from './model/search.ts';
import { type Disk, isRenewed, start, type World } from './model/world.ts';

const mostFaults = isLongForm ? 2 : 1;
/** Fewer would mean that the search does not go where it should. */
const fewestCourses = isLongForm ? 100 : 25;

/** What a volume comes to hold, and whether an agent starts on it then. */
interface Step {
  readonly disk: Disk;
  readonly starts: boolean;
}
type Course = readonly Step[];

test('on a tmpfs the writes of an issuance and its renewal leave what the model says, wherever an agent dies between them', {
  skip: mountSkip,
  timeout: 1_200_000,
}, async (t) => {
  const courses = coursesOfModel();
  t.diagnostic(`${courses.length} courses with ${mostFaults} faults at most`);
  assert.ok(courses.length >= fewestCourses, `there are ${courses.length} courses only`);
  const root = temporaryDirectory(t);
  for (const course of courses) {
    await take(t, root, course);
  }
});

/** The distinct courses that writes can take with so many faults, each to its end: no course is the beginning of another one. */
function coursesOfModel(): readonly Course[] {
  const first = start({
    ...{ now: Date.UTC(2026, 10, 21), disk: { keys: [] }, server: {}, givenUp: [], ends: {}, requests: 0, written: 0 },
  });
  const known = new Map<string, number>([[keyOf(first), 0]]);
  const found = new Map<string, Course>();
  const due: { readonly world: World; readonly faults: number; readonly course: Course }[] = [
    { world: first, faults: 0, course: [] },
  ];
  for (let visited = due.shift(); visited !== undefined; visited = due.shift()) {
    const { world, faults, course } = visited;
    found.set(wordsOf(course), course);
    for (const { isFault, next } of isRenewed(world) ? [] : actionsIn(world)) {
      const after = next();
      const cost = faults + (isFault ? 1 : 0);
      const key = keyOf(after);
      if (cost > mostFaults || cost >= (known.get(key) ?? Number.POSITIVE_INFINITY)) {
        continue;
      }
      known.set(key, cost);
      const taken = follow(course, world, after);
      if (taken !== course && found.get(wordsOf(course)) === course) {
        found.delete(wordsOf(course));
      }
      due.push({ world: after, faults: cost, course: taken });
    }
  }
  return [...found.values()];
}

/** A course and what one more step of the model adds to it. */
function follow(course: Course, before: World, { agent, disk }: World): Course {
  const starts = before.agent === undefined && agent !== undefined;
  return starts || !isDeepStrictEqual(before.disk, disk) ? [...course, { disk, starts }] : course;
}

function wordsOf(course: Course): string {
  return JSON.stringify(course.map(({ disk, starts }) => [starts, ...Object.values(partsOf(disk))]));
}

/** Which request each part of a volume belongs to. */
function partsOf({ keys, request, files, noted, setback, trust }: Disk) {
  return {
    keys: keys.join(),
    request: request?.id,
    answer: request?.answer?.serialNumber,
    files,
    noted: noted?.requestName,
    setback: setback?.failures,
    trust: trust?.earlyRefreshes,
  };
}

async function take(t: TestContext, root: string, course: Course): Promise<void> {
  const source = { ...certificateSource, credentialBundlePath: 'tls.pem' };
  const record = makeRecord(makeTarget(root), { declaration: { sources: [source] } });
  const openStore = () =>
    createVolumeStore({
      ...{ kubeletRoot: root, driverName: 'csi.example', mode: 'tmpfs' },
      onProblem: (_, problem) => t.diagnostic(problem),
    });
  const store = openStore();
  let volume = await store.create(record);
  let disk: Disk = { keys: [] };
  for (const [index, step] of course.entries()) {
    if (step.starts) {
      const [found] = (await openStore().recover()).volumes;
      assert.ok(found !== undefined, 'no volume is found');
      volume = found;
    } else {
      await write(volume, disk, step.disk);
    }
    disk = step.disk;
    assert.deepEqual(readAs(volume, disk), expected(disk), `after step ${index} of ${wordsOf(course)}`);
  }
  const [found] = (await openStore().recover()).volumes;
  assert.ok(found !== undefined, 'no volume is found');
  assert.deepEqual(readAs(found, disk), expected(disk), `by an agent that starts after ${wordsOf(course)}`);
  await store.remove(record.targetPath);
}

/** Makes the one change that leads from a disk to the next one. */
async function write(volume: OpenVolume, from: Disk, to: Disk): Promise<void> {
  const { files, noted, setback, trust } = to;
  await writeRequest(volume, from, to);
  if (files !== from.files && files !== undefined) {
    // It was read before, and may be that of a request that has been given up since.
    const privateKey = bytesOf(files);
    await volume.project(new Map([[0, { kind: 'credential', privateKey, certificates: [bytesOf(files)] }]]));
  }
  if (noted !== from.noted && noted !== undefined) {
    await volume.saveCurrent(0, noted, [bytesOf(noted.requestName)]);
  }
  if (setback !== from.setback) {
    volume.saveSetback(0, setback);
  }
  if (trust !== from.trust && trust !== undefined) {
    volume.saveTrust(0, trust);
  }
}

async function writeRequest(volume: OpenVolume, from: Disk, { keys, request }: Disk): Promise<void> {
  const added = keys.find((key) => !from.keys.includes(key) && key !== request?.id);
  if (added !== undefined) {
    // A key is there before the file that names it.
    const name = `pending-0.${bytesOf(added).toString('hex').padStart(16, '0')}.key`;
    writeFileSync(join(volume.record.targetPath, '..agent', name), bytesOf(added), { mode: 0o600 });
  }
  if (request === undefined) {
    if (from.request !== undefined) {
      volume.discardPending(0);
    }
  } else if (request.id !== from.request?.id) {
    const pending = { requestName: request.id, keyType: 'ECDSAP256', createdAt: request.createdAt } as const;
    volume.savePending(0, pending, bytesOf(request.id));
  } else if (request.answer !== undefined && request.answer !== from.request?.answer) {
    await volume.saveAnswer(0, request.id, chainOf(request.answer));
  }
}

function bytesOf(id: string): Buffer {
  return Buffer.from(id);
}

function chainOf(answer: IssuedChain): IssuedChain {
  return { ...answer, certificates: [bytesOf(answer.serialNumber)] };
}

/** What an agent would make of the volume, in the model's terms. */
function readAs(volume: OpenVolume, { files }: Disk) {
  const pending = volume.pending(0);
  const bundle = files === undefined ? '' : readFileSync(join(volume.record.targetPath, 'tls.pem'), 'utf8');
  const blocks = [...bundle.matchAll(/-----\n([^-]+)\n-----/g)].map(([, body = '']) =>
    Buffer.from(body, 'base64').toString(),
  );
  return {
    request: pending?.requestName,
    key: pending === undefined ? undefined : Buffer.from(volume.readPendingKey(0)).toString(),
    answer: pending?.answer?.serialNumber,
    files: blocks,
    noted: volume.current(0),
    setback: volume.setback(0),
    trust: volume.trust(0),
  };
}

function expected({ keys, request, files, noted, setback, trust }: Disk) {
  const pending = request !== undefined && keys.includes(request.id) ? request : undefined;
  return {
    request: pending?.id,
    key: pending?.id,
    answer: pending?.answer?.serialNumber,
    files: files === undefined ? [] : [files, files],
    ...{ noted, setback, trust },
  };
}
