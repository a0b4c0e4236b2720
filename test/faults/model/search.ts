/** Every state that a world can come to by what goes well and by so many faults, each looked at once. */
import { wakeTime } from '../../../agent/lifecycle/credential.ts';
import { created, dispatch, fail, issue, isUrgent, perform, ring, see, start, type World } from './world.ts';

const hour = 3_600_000;

export interface Action {
  readonly name: string;
  /** Not to be expected where all goes well. */
  readonly isFault: boolean;
  readonly next: () => World;
}

const well = (name: string, next: () => World): Action => ({ name, isFault: false, next });
const fault = (name: string, next: () => World): Action => ({ name, isFault: true, next });

/** Everything that may happen next. */
export function actionsIn(world: World): readonly Action[] {
  const { agent, server, now } = world;
  const dies = fault('the agent dies', () => dead(world));
  const urgent = agent?.work.findIndex(isUrgent) ?? -1;
  if (urgent >= 0) {
    const isStored = agent?.work[urgent]?.do === 'write request';
    const fails = isStored ? [fault('the request cannot be stored', () => fail(world, urgent))] : [];
    return [well('a write', () => perform(world, urgent)), dies, ...fails];
  }
  const isOfInterest = (id: string): boolean => id === agent?.followed || id === world.disk.request?.id;
  const others = Object.keys(server)
    .filter(isOfInterest)
    .flatMap((id) => [
      ...(server[id] === 'none'
        ? [
            well(`${id} is issued`, () => issue(world, id)),
            fault(`${id} is denied`, () => ({ ...world, server: { ...server, [id]: 'denied' } })),
          ]
        : []),
      fault(`${id} is deleted`, () => deleted(world, id)),
    ]);
  if (agent === undefined) {
    return [
      well('the agent starts', () => start(world)),
      fault('the node sleeps', () => ({ ...world, now: now + 30 * hour })),
      ...others,
    ];
  }
  const { work, state, followed } = agent;
  const isTold = followed !== undefined && server[followed] !== 'none';
  // A volume's files are written by one at a time.
  const writer = work.findIndex((item) => 'isWanted' in item);
  const own = work.flatMap((item, index): Action[] => [
    ...('isWanted' in item && index !== writer ? [] : [well(item.do, () => perform(world, index))]),
    ...(item.do === 'create'
      ? [
          fault('the request is not made', () => fail(world, index)),
          fault('its reply is lost', () => fail(created(world, item.id), index)),
        ]
      : []),
    ...(item.do === 'write key' ? [fault('the key cannot be stored', () => fail(world, index))] : []),
  ]);
  const isSilence = work.length > 0 || state.name === 'awaiting' || state.name === 'ended';
  const alarm = Number.isFinite(wakeTime(state) ?? Number.NaN)
    ? [{ name: 'the alarm rings', isFault: isSilence, next: () => ring(world) }]
    : [];
  return [
    ...own,
    ...(state.name === 'ended' ? [well('the pod lives', () => dispatch(world, { type: 'podLives' }))] : []),
    ...(isTold ? [well('the watch tells', () => see(world))] : []),
    ...others,
    ...alarm,
    dies,
    fault('the clock jumps ahead', () => dispatch({ ...world, now: now + 30 * hour }, { type: 'timer' })),
    fault('the clock is set back', () => dispatch({ ...world, now: now - 2 * hour }, { type: 'timer' })),
    fault('the pod seems to have ended', () => dispatch(world, { type: 'podEnded', why: 'gone' })),
    fault('the cause may be mended', () => dispatch(world, { type: 'retryNow' })),
  ];
}

/** A dead agent leaves the disk as it is, and its requests at the server. */
function dead({ agent: _, ...world }: World): World {
  return world;
}

function deleted(world: World, id: string): World {
  const { [id]: _, ...server } = world.server;
  return { ...world, server };
}

export interface Search {
  readonly first: World;
  readonly mostFaults: number;
  /** Worlds in which nothing more is to be looked at. */
  readonly isEnd: (world: World) => boolean;
  /** Looks at a step, told how it came about. */
  readonly onStep: (before: World, after: World, history: () => readonly string[]) => void;
}

interface Visited {
  readonly world: World;
  readonly faults: number;
  readonly name: string;
  readonly from: Visited | undefined;
}

/** @returns how many states there are */
export function searchAll({ first, mostFaults, isEnd, onStep }: Search): number {
  /** The fewest faults that a state was come to by. */
  const known = new Map<string, number>([[keyOf(first), 0]]);
  const due: Visited[] = [{ world: first, faults: 0, name: 'the beginning', from: undefined }];
  for (let visited = due.pop(); visited !== undefined; visited = due.pop()) {
    const { world, faults } = visited;
    for (const { name, isFault, next } of actionsIn(world)) {
      const cost = faults + (isFault ? 1 : 0);
      if (cost > mostFaults) {
        continue;
      }
      const after: Visited = { world: next(), faults: cost, name, from: visited };
      onStep(world, after.world, () => historyOf(after));
      const key = keyOf(after.world);
      if (cost < (known.get(key) ?? Number.POSITIVE_INFINITY)) {
        known.set(key, cost);
        if (!isEnd(after.world)) {
          due.push(after);
        }
      }
    }
  }
  return known.size;
}

function historyOf(last: Visited): readonly string[] {
  const names: string[] = [];
  for (let visited: Visited | undefined = last; visited !== undefined; visited = visited.from) {
    names.unshift(visited.name);
  }
  return names;
}

/**
 * Worlds that differ by when they are, by the names of requests, or by requests of which nobody will hear any more, are the same.
 */
export function keyOf(world: World): string {
  const { agent, disk, server, now } = world;
  const text = JSON.stringify([agent, disk], (_, value) => (isTime(value) ? value - now : value));
  const names = [...new Set(text.match(/(?<=")r\d+(?=")/g))];
  const renamed = text.replaceAll(/"r(\d+)"/g, (name) => `"${names.indexOf(name.slice(1, -1))}"`);
  const alive = names.map((name) => [typeof server[name] === 'object' ? (world.ends[name] ?? 0) - now : server[name]]);
  const others = Object.entries(server).filter(([name, answer]) => answer === 'none' && !names.includes(name));
  const isAsked = others.some(([name]) => !world.givenUp.includes(name));
  return JSON.stringify([renamed, alive, isAsked, world.written]);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && value > 1e11;
}
