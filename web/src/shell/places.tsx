//! What both columns on the left share: the mark, the way between chats and data, the theme.

import { IconButton } from './controls';
import { ChatIcon, MoonIcon, SunIcon, TableIcon } from './icons';
import { tabStore } from './storage';
import { toggleTheme, useTheme } from './theme';

/** Which half of the page is shown. */
export type Place = 'chats' | 'data';

/** The addresses to which the links lead: each half is found again as it was left. */
const HOME: Readonly<Record<Place, string>> = { chats: '#/', data: '#/d' };

/** Keeps where somebody is, for the way back. */
export function rememberPlace(place: Place, hash: string): void {
  tabStore.setItem(`tidewire.${place}`, hash);
}

/** Where somebody was last in that half. */
export function homeOf(place: Place): string {
  return tabStore.getItem(`tidewire.${place}`) ?? HOME[place];
}

/** The two links. */
export function Places({ current }: { current: Place }) {
  return (
    <div className="shrink-0 px-3 py-2">
      <PlaceLink place="chats" current={current}><ChatIcon /> Chats</PlaceLink>
      <PlaceLink place="data" current={current}><TableIcon /> Data</PlaceLink>
    </div>
  );
}

function PlaceLink({ place, current, children }: { place: Place; current: Place; children: React.ReactNode }) {
  return (
    <a
      href={homeOf(place)}
      data-testid={`place-${place}`}
      aria-current={place === current ? 'true' : undefined}
      className="flex min-h-9 items-center gap-2 rounded-lg px-3 text-sm text-muted hover:bg-hover hover:text-ink aria-[current=true]:font-medium aria-[current=true]:text-ink"
    >
      {children}
    </a>
  );
}

/** Between light and dark. */
export function ThemeButton() {
  const theme = useTheme();
  return (
    <IconButton label={theme === 'dark' ? 'Light theme' : 'Dark theme'} onClick={toggleTheme}>
      {theme === 'dark' ? <SunIcon /> : <MoonIcon />}
    </IconButton>
  );
}

/** The waves. */
export function Mark() {
  return (
    <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true" className="text-accent">
      <path d="M1.5 7c2.8 0 2.8 2.5 5.6 2.5S10 7 12.8 7s2.9 2.5 5.7 2.5M1.5 12.5c2.8 0 2.8 2.5 5.6 2.5s2.9-2.5 5.7-2.5 2.9 2.5 5.7 2.5" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
    </svg>
  );
}
