//! The browser's storage, or memory where the browser forbids it: the page then forgets on reload, and works.

/** What is kept for this browser. */
export const localStore: Storage = usable(() => localStorage);

/** What is kept for this tab. */
export const tabStore: Storage = usable(() => sessionStorage);

function usable(open: () => Storage): Storage {
  try {
    const storage = open();
    storage.getItem('tidewire');
    return storage;
  } catch {
    return inMemory();
  }
}

function inMemory(): Storage {
  const items = new Map<string, string>();
  return {
    get length() {
      return items.size;
    },
    key: (index) => [...items.keys()][index] ?? null,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
    clear: () => items.clear(),
  };
}
