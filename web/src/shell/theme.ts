//! Light or dark: the system's choice, until the person makes one. `public/theme.js` applies it before the first paint.

import { useSyncExternalStore } from 'react';

export type Theme = 'light' | 'dark';

const KEY = 'tidewire.theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

function chosen(): Theme | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : null;
  } catch {
    return null;
  }
}

function apply(): void {
  document.documentElement.dataset.theme = chosen() ?? (system.matches ? 'dark' : 'light');
  for (const listener of listeners) listener();
}

system.addEventListener('change', apply);

/** The theme that is shown. */
export function currentTheme(): Theme {
  return document.documentElement.dataset.theme === 'dark' ? 'dark' : 'light';
}

/** Changes to the other theme. Choosing what the system has anyway gives the choice back to the system. */
export function toggleTheme(): void {
  const next: Theme = currentTheme() === 'dark' ? 'light' : 'dark';
  try {
    if ((next === 'dark') === system.matches) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    document.documentElement.dataset.theme = next;
  }
  apply();
}

/** Follows the theme. */
export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    currentTheme,
  );
}
