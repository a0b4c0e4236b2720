/** Those that wait for something that few may have at a time: the oldest or the youngest is taken, however many there are. */

export interface Hungry<Item> {
  /** Keeps its place when it is there already. */
  add(item: Item): void;
  delete(item: Item): void;
  /** Takes one out; nothing when there is none. */
  take(which: 'oldest' | 'youngest'): Item | undefined;
  clear(): void;
}

export function createHungry<Item>(): Hungry<Item> {
  const places = new Map<Item, number>();
  /** In order of arrival; who has gone leaves a gap. */
  const line: (Item | undefined)[] = [];
  let first = 0;

  function remove(item: Item): void {
    const place = places.get(item);
    if (place === undefined) {
      return;
    }
    places.delete(item);
    line[place] = undefined;
    if (places.size === 0) {
      line.length = 0;
      first = 0;
    }
  }

  function oldest(): Item | undefined {
    while (first < line.length && line[first] === undefined) {
      first += 1;
    }
    return line[first];
  }

  function youngest(): Item | undefined {
    while (line.length > first && line.at(-1) === undefined) {
      line.pop();
    }
    return line.at(-1);
  }

  return {
    add(item) {
      if (!places.has(item)) {
        places.set(item, line.length);
        line.push(item);
      }
    },
    delete: remove,
    take(which) {
      const item = which === 'oldest' ? oldest() : youngest();
      if (item !== undefined) {
        remove(item);
      }
      return item;
    },
    clear() {
      places.clear();
      line.length = 0;
      first = 0;
    },
  };
}
