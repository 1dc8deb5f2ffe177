//! Small hooks about the surroundings: width, network, time, keys.

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';

/** Whether a media query matches now. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = matchMedia(query);
      media.addEventListener('change', listener);
      return () => media.removeEventListener('change', listener);
    },
    () => matchMedia(query).matches,
  );
}

/** Whether the browser has a network. */
export function useOnline(): boolean {
  return useSyncExternalStore(
    (listener) => {
      addEventListener('online', listener);
      addEventListener('offline', listener);
      return () => {
        removeEventListener('online', listener);
        removeEventListener('offline', listener);
      };
    },
    () => navigator.onLine,
  );
}

/** The time in milliseconds, four times a second while `running`; it costs nothing otherwise. */
export function useNow(running: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!running) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

/** Listens to keys on the whole page with the newest `handler`. */
export function useKeys(handler: (event: KeyboardEvent) => void): void {
  const newest = useRef(handler);
  newest.current = handler;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => newest.current(event);
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

/** A function that stays the same object and always does what the newest `handler` does, so that memoised children rest. */
export function useHandler<Arguments extends unknown[], Result>(handler: (...args: Arguments) => Result): (...args: Arguments) => Result {
  const newest = useRef(handler);
  newest.current = handler;
  return useCallback((...args: Arguments) => newest.current(...args), []);
}

/** The list of before, as long as it holds the same things. */
export function useSteady<T>(list: readonly T[]): readonly T[] {
  const before = useRef(list);
  const isSame = before.current.length === list.length && before.current.every((each, index) => each === list[index]);
  if (!isSame) before.current = list;
  return before.current;
}

/** Gives the focus to a field, except with a touch screen: there it would bring up the keyboard over what one wants to read. */
export function focusQuietly(field: HTMLElement | null): void {
  if (matchMedia('(pointer: fine)').matches) field?.focus({ preventScroll: true });
}

/** Whether a key press belongs to a field that the person writes in. */
export function isWriting(event: KeyboardEvent): boolean {
  const target = event.target;
  return target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
