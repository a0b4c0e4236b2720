/**
 * Attends to objects one step at a time: whatever changes is looked at again, and no object is worked on twice at once.
 */
import { AgentError } from '../../agent/base/errors.ts';
import type { ListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { httpStatusOf } from '../base/client.ts';

export interface Attendance {
  /** Looks at every object again. */
  lookAgain(): void;
}

/**
 * @param act does what is next for an object, and nothing when nothing is
 * @param onProblem hears of everything but that an object is gone or has changed meanwhile, and that calls were ended
 */
export function attend<T extends KubernetesObject>(
  watch: Pick<ListWatch<T>, 'list' | 'subscribe'>,
  act: (object: T) => Promise<void>,
  onProblem: (message: string) => void,
): Attendance {
  const uidOf = ({ metadata }: T): string => metadata.uid ?? '';
  /** By UID: whether the object has to be looked at once more. */
  const busy = new Map<string, boolean>();

  const look = async (object: T): Promise<void> => {
    const uid = uidOf(object);
    if (busy.has(uid)) {
      busy.set(uid, true);
      return;
    }
    busy.set(uid, false);
    try {
      await act(object);
    } catch (error) {
      // Gone, or changed meanwhile: then its next version comes by the watch. Or whoever attends has ended.
      const status = httpStatusOf(error);
      const isEnd = error instanceof AgentError && error.code === 'Aborted';
      if (status !== 404 && status !== 409 && !isEnd) {
        onProblem(`${object.metadata.name}: ${String(error)}`);
      }
    }
    const isDue = busy.get(uid) === true;
    busy.delete(uid);
    const newest = isDue ? watch.list().find((each) => uidOf(each) === uid) : undefined;
    if (newest !== undefined) {
      await look(newest);
    }
  };
  watch.subscribe((event) => {
    if (event.type === 'added' || event.type === 'modified') {
      void look(event.object);
    }
  });
  return {
    lookAgain() {
      for (const object of watch.list()) {
        void look(object);
      }
    },
  };
}
