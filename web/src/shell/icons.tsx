//! The page's icons: 16 by 16 strokes in the colour of the text. They are decoration; the button carries the name.

import type { ReactNode } from 'react';

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" className="shrink-0">
      {children}
    </svg>
  );
}

export const PlusIcon = () => <Icon><path d="M8 3v10M3 8h10" /></Icon>;
export const MinusIcon = () => <Icon><path d="M3 8h10" /></Icon>;
export const SendIcon = () => <Icon><path d="M8 13V3M3.5 7.5 8 3l4.5 4.5" /></Icon>;
export const StopIcon = () => <Icon><rect x="4" y="4" width="8" height="8" rx="1.5" fill="currentColor" stroke="none" /></Icon>;
export const ChevronIcon = () => <Icon><path d="m6 3.5 4.5 4.5L6 12.5" /></Icon>;
export const DownIcon = () => <Icon><path d="M8 3v10M3.5 8.5 8 13l4.5-4.5" /></Icon>;
export const CloseIcon = () => <Icon><path d="m4 4 8 8M12 4l-8 8" /></Icon>;
export const MenuIcon = () => <Icon><path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11" /></Icon>;
export const PinIcon = () => <Icon><path d="M9.5 2.5 13.5 6.5 11 7.5 9 11.5 4.5 7 8.5 5zM6.5 9.5l-4 4" /></Icon>;
export const FitIcon = () => <Icon><path d="M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3" /></Icon>;
export const DownloadIcon = () => <Icon><path d="M8 2.5v7M5 7l3 3 3-3M3 13h10" /></Icon>;
export const SunIcon = () => <Icon><circle cx="8" cy="8" r="2.75" /><path d="M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M12.6 3.4l-.7.7M4.1 11.9l-.7.7" /></Icon>;
export const MoonIcon = () => <Icon><path d="M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5Z" /></Icon>;
export const SearchIcon = () => <Icon><circle cx="7" cy="7" r="4" /><path d="m10 10 3.5 3.5" /></Icon>;
export const CanvasIcon = () => <Icon><rect x="2" y="3" width="12" height="10" rx="1.5" /><path d="M9.5 3v10" /></Icon>;
export const DiagramIcon = () => <Icon><rect x="2" y="2.5" width="5" height="4" rx="1" /><rect x="9" y="9.5" width="5" height="4" rx="1" /><path d="M4.5 6.5v5H9" /></Icon>;
export const TableIcon = () => <Icon><rect x="2" y="3" width="12" height="10" rx="1.5" /><path d="M2 6.5h12M6.5 6.5V13" /></Icon>;
export const CopyIcon = () => <Icon><rect x="5.5" y="5.5" width="8" height="8" rx="1.5" /><path d="M10.5 5.5v-2a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2" /></Icon>;
export const PencilIcon = () => <Icon><path d="m10.5 3 2.5 2.5-7.5 7.5-3 .5.5-3zM9 4.5 11.5 7" /></Icon>;
export const AgainIcon = () => <Icon><path d="M13 8a5 5 0 1 1-1.6-3.7M13 2.5v2.6h-2.6" /></Icon>;
export const CheckIcon = () => <Icon><path d="m3 8.5 3.5 3.5L13 4.5" /></Icon>;
export const AlertIcon = () => <Icon><circle cx="8" cy="8" r="6" /><path d="M8 5v3.5M8 11h.01" /></Icon>;
export const ChatIcon = () => <Icon><path d="M13.5 8a5.5 5 0 0 1-8 4.4L2.5 13l.8-2.6A5 5 0 1 1 13.5 8Z" /></Icon>;
export const KeyIcon = () => <Icon><circle cx="5.5" cy="10.5" r="3" /><path d="m7.7 8.3 5.3-5.3M10.5 5.5l2 2" /></Icon>;
export const MoreIcon = () => <Icon><circle cx="3.5" cy="8" r="1" fill="currentColor" stroke="none" /><circle cx="8" cy="8" r="1" fill="currentColor" stroke="none" /><circle cx="12.5" cy="8" r="1" fill="currentColor" stroke="none" /></Icon>;
export const SourcesIcon = () => <Icon><path d="M3 2.5h7.5a1 1 0 0 1 1 1v10h-7a1.5 1.5 0 0 1-1.5-1.5zM3 12a1.5 1.5 0 0 1 1.5-1.5h7M5.5 5.5H9" /></Icon>;
export const BranchIcon = () => <Icon><circle cx="4.5" cy="3.5" r="1.5" /><circle cx="4.5" cy="12.5" r="1.5" /><circle cx="11.5" cy="5.5" r="1.5" /><path d="M4.5 5v6M11.5 7c0 2.5-2.5 3-7 4" /></Icon>;
export const ShieldIcon = () => <Icon><path d="M8 2 3 4v4c0 3 2.1 5.2 5 6 2.9-.8 5-3 5-6V4z" /><path d="M8 5.5v3M8 10.8h.01" /></Icon>;
export const OutwardIcon = () => <Icon><path d="M6 4h6v6M12 4 4.5 11.5" /></Icon>;
export const DownChevronIcon = () => <Icon><path d="m4.5 6.5 3.5 3.5 3.5-3.5" /></Icon>;
