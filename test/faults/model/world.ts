/**
 * One credential and all that it depends on, small enough to be looked at in every state: the pure lifecycle itself, what its effects
 * do to the volume write by write, the requests that the API server holds, and time. What the agent's watch tells is what the server
 * holds, whenever it tells it: a copy that is behind the truth is one that has not told yet, however much happens before it does.
 *
 * A write is one change of the file system: the store replaces a file, or the whole set of files, by one rename. What is written at
 * once, before anything else can happen, is `urgent`; between two such writes the agent can still die.
 */
import { AgentError } from '../../../agent/base/errors.ts';
import { begin, step, wakeTime } from '../../../agent/lifecycle/credential.ts';
import type {
  CredentialEvent,
  CredentialState,
  Effect,
  Transition,
} from '../../../agent/lifecycle/credential-state.ts';
import type { CertificateRecord, IssuedChain, Setback, TrustRecord } from '../../../volumes/base/volume.ts';

const hour = 3_600_000;
const keyType = 'ECDSAP256' as const;

/** The way of an answer into the files, in the order of `agent/lifecycle/projection.ts`. */
const projectStages = ['keep answer', 'read key', 'write files', 'note files', 'forget request', 'forget key'] as const;

export type Work =
  | { readonly do: 'write key' | 'write request' | 'prepare' | 'create'; readonly id: string }
  | { readonly do: 'keep answer only'; readonly id: string; readonly answer: IssuedChain }
  | {
      readonly do: (typeof projectStages)[number];
      readonly certificate: CertificateRecord;
      readonly answer: IssuedChain;
      /** False once it was taken back: what is under way still reaches the files, and nobody is told. */
      readonly isWanted: boolean;
    }
  | { readonly do: 'discard request' | 'discard key' }
  | { readonly do: 'keep setback'; readonly setback: Setback | undefined }
  | { readonly do: 'keep trust'; readonly trust: TrustRecord };

/** What a volume holds. */
export interface Disk {
  readonly keys: readonly string[];
  readonly request?: { readonly id: string; readonly createdAt: number; readonly answer?: IssuedChain };
  /** Whose certificate and key are in the files. */
  readonly files?: string;
  readonly noted?: CertificateRecord;
  readonly setback?: Setback;
  readonly trust?: TrustRecord;
}

export type Answer = IssuedChain | 'denied';
/** Requests by name, with their answer where they have one. */
export type Requests = Readonly<Record<string, Answer | 'none'>>;

export interface Agent {
  readonly state: CredentialState;
  readonly work: readonly Work[];
  readonly followed?: string;
}

export interface World {
  readonly now: number;
  /** The agent while it runs. */
  readonly agent?: Agent;
  readonly disk: Disk;
  readonly server: Requests;
  /** Requests on whose answer the agent gave up, for want of one or since the pod seemed to have ended. */
  readonly givenUp: readonly string[];
  /** When each certificate that was issued ends. */
  readonly ends: Readonly<Record<string, number>>;
  readonly requests: number;
  /** How often the files were written. */
  readonly written: number;
}

/** Takes an agent up from what is on the disk. The store clears away keys that belong to nothing. */
export function start(world: World): World {
  const { request, files, noted, setback, trust } = world.disk;
  const isWhole = request !== undefined && world.disk.keys.includes(request.id);
  const keys = isWhole ? [request.id] : [];
  const pending = isWhole
    ? {
        requestName: request.id,
        keyType,
        createdAt: request.createdAt,
        ...(request.answer && { answer: request.answer }),
      }
    : undefined;
  const current = files === undefined ? undefined : noted;
  const found = { current, trust, pending, setback } as const;
  const at = { now: world.now, random: 0.5 };
  return carryOut({ ...world, disk: { ...world.disk, keys } }, [], begin(keyType, found, at));
}

export function dispatch(world: World, event: CredentialEvent): World {
  const { agent } = world;
  if (agent === undefined) {
    return world;
  }
  return carryOut(world, agent.work, step(agent.state, event, { now: world.now, random: 0.5 }), agent.followed);
}

function carryOut(world: World, work: readonly Work[], { state, effects }: Transition, followed?: string): World {
  let next: World = { ...world, agent: { state, work, ...(followed === undefined ? {} : { followed }) } };
  for (const effect of effects) {
    next = apply(next, effect);
  }
  return next;
}

function apply(world: World, effect: Effect): World {
  const { agent } = world;
  if (agent === undefined) {
    return world;
  }
  const { followed, ...rest } = agent;
  const add = (...more: readonly Work[]): World => ({ ...world, agent: { ...agent, work: [...agent.work, ...more] } });
  switch (effect.type) {
    case 'makeKey':
      return { ...add({ do: 'write key', id: `r${world.requests + 1}` }), requests: world.requests + 1 };
    case 'submit':
      return add({ do: 'prepare', id: effect.requestName });
    case 'follow':
      return { ...world, agent: { ...rest, followed: effect.requestName } };
    case 'unfollow': {
      const onTheirWay = agent.work.flatMap((one) => (one.do === 'create' ? [one.id] : []));
      const { request } = world.disk;
      const givenUp = [...world.givenUp, ...onTheirWay, ...(request === undefined ? [] : [request.id])];
      return { ...world, agent: rest, givenUp };
    }
    case 'project': {
      const { certificate, answer } = effect;
      return add({ do: 'keep answer', certificate, answer, isWanted: true });
    }
    case 'saveAnswer':
      return add({ do: 'keep answer only', id: effect.requestName, answer: effect.answer });
    case 'saveSetback':
      return add({ do: 'keep setback', setback: effect.setback });
    case 'saveTrust':
      return add({ do: 'keep trust', trust: effect.trust });
    case 'discardPending': {
      const work = agent.work.map((one) => ('isWanted' in one ? { ...one, isWanted: false } : one));
      return { ...world, agent: { ...agent, work: [...work, { do: 'discard request' }] } };
    }
    default:
      return world;
  }
}

/** Written at once: nothing but the agent's death comes before it. */
export function isUrgent({ do: what }: Work): boolean {
  return urgent.has(what);
}

const urgent: ReadonlySet<Work['do']> = new Set([
  ...(['write request', 'forget key', 'discard request', 'discard key', 'keep setback', 'keep trust'] as const),
]);

/** Does one piece of work. What follows of it is put in its place. */
export function perform(world: World, index: number): World {
  const { agent, disk } = world;
  const item = agent?.work[index];
  if (agent === undefined || item === undefined) {
    return world;
  }
  const others = agent.work.filter((_, position) => position !== index);
  const then = (changes: Partial<Disk>, ...next: readonly Work[]): World => ({
    ...world,
    disk: { ...disk, ...changes },
    agent: { ...agent, work: [...next, ...others] },
  });
  switch (item.do) {
    case 'write key':
      // Looked at by the agent before it stores a key.
      return agent.state.name === 'generating'
        ? then({ keys: [...disk.keys, item.id] }, { do: 'write request', id: item.id })
        : then({});
    case 'write request': {
      const written = then({ keys: [item.id], request: { id: item.id, createdAt: world.now } });
      return dispatch(written, { type: 'keyMade', requestName: item.id });
    }
    case 'prepare':
      // Its key is read first, and may have been taken away.
      return disk.request?.id === item.id && disk.keys.includes(item.id)
        ? then({}, { ...item, do: 'create' })
        : fail(world, index);
    case 'create':
      return dispatch(created(then({}), item.id), { type: 'submitted', requestName: item.id });
    case 'keep answer only':
      return then(disk.request?.id === item.id ? { request: { ...disk.request, answer: item.answer } } : {});
    case 'discard request':
      return { ...without(then({}, { do: 'discard key' }), 'request') };
    case 'discard key':
      return then({ keys: [] });
    case 'keep setback':
      return item.setback === undefined ? without(then({}), 'setback') : then({ setback: item.setback });
    case 'keep trust':
      return disk.noted === undefined ? then({}) : then({ trust: item.trust });
    default:
      return project(world, item, then);
  }
}

type Projecting = Extract<Work, { readonly isWanted: boolean }>;

function project(world: World, item: Projecting, then: (changes: Partial<Disk>, ...next: Work[]) => World): World {
  const { disk } = world;
  const { certificate, answer } = item;
  const id = certificate.requestName;
  const isThere = disk.request?.id === id && disk.keys.includes(id);
  const next = projectStages[projectStages.indexOf(item.do) + 1];
  const on = (changes: Partial<Disk>): World => then(changes, ...(next === undefined ? [] : [{ ...item, do: next }]));
  switch (item.do) {
    case 'keep answer':
      return isThere && disk.request !== undefined ? on({ request: { ...disk.request, answer } }) : then({});
    case 'read key':
      return isThere ? on({}) : then({});
    case 'write files': {
      const written = on({ files: id });
      return disk.files === id ? written : { ...written, written: world.written + 1 };
    }
    case 'note files': {
      const noted = without(on({ noted: certificate }), 'trust');
      // Taken back meanwhile: nobody clears the request away, nor is told.
      return item.isWanted ? noted : without(then({ noted: certificate }), 'trust');
    }
    case 'forget request':
      return item.isWanted ? without(on({}), 'request') : then({});
    default:
      return item.isWanted ? dispatch(then({ keys: [] }), { type: 'written' }) : then({});
  }
}

function without(world: World, part: 'request' | 'setback' | 'trust'): World {
  const { [part]: _, ...disk } = world.disk;
  return { ...world, disk };
}

/** A request of that name exists from now on: it is asked for again under its own name only. */
export function created(world: World, id: string): World {
  return world.server[id] === undefined ? { ...world, server: { ...world.server, [id]: 'none' } } : world;
}

/** The signer's certificate for a request. */
export function issue(world: World, id: string): World {
  const [notBefore, notAfter] = [world.now - 60_000, world.now + 24 * hour];
  const dates = { notBefore, notAfter, beginRefreshAt: world.now + 12 * hour };
  const answer: IssuedChain = { certificates: [], serialNumber: id, ...dates };
  return { ...world, server: { ...world.server, [id]: answer }, ends: { ...world.ends, [id]: notAfter } };
}

/** The watch, or a list after it, tells of the request that is followed. */
export function see(world: World): World {
  if (world.agent?.followed === undefined) {
    return world;
  }
  const { followed, ...agent } = world.agent;
  const answer = world.server[followed];
  if (answer === 'none') {
    return world;
  }
  const told = { ...world, agent };
  if (answer === undefined) {
    return dispatch(told, { type: 'deleted' });
  }
  return answer === 'denied'
    ? dispatch(told, { type: 'refused', kind: 'denied', reason: 'Policy', message: 'no', followSuggestion: false })
    : dispatch(told, { type: 'accepted', answer });
}

/** The alarm rings at the time that the state asked for, or now where that has passed. */
export function ring(world: World): World {
  const wake = world.agent === undefined ? world.now : (wakeTime(world.agent.state) ?? world.now);
  return dispatch({ ...world, now: Math.max(world.now, wake) }, { type: 'timer' });
}

/** A piece of work fails in the way that its kind can. */
export function fail(world: World, index: number): World {
  const { agent } = world;
  const item = agent?.work[index];
  if (agent === undefined || item === undefined) {
    return world;
  }
  const work = agent.work.filter((_, position) => position !== index);
  const error = new AgentError('Unavailable', 'it failed', { actor: 'nobody' });
  const rest = { ...world, agent: { ...agent, work } };
  if (item.do === 'prepare' || item.do === 'create') {
    return dispatch(rest, { type: 'submitFailed', requestName: item.id, error });
  }
  // The store takes a key away whose request it could not write.
  const keys = world.disk.keys.filter((key) => key !== ('id' in item ? item.id : ''));
  return dispatch({ ...rest, disk: { ...world.disk, keys } }, { type: 'keyFailed', error });
}

/** The renewal is in the files, and nothing is left to do. */
export function isRenewed({ agent, written }: World): boolean {
  return agent?.state.name === 'fresh' && agent.work.length === 0 && written >= 2;
}
