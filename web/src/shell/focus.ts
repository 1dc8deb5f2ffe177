//! Where the focus goes when something that lay over the page is closed.

import { useState } from 'react';

/**
 * For the content of a dialog that is opened by a key or by code, so that the dialog knows no button that it belongs to:
 * what had the focus before gets it back, unless something else has taken it.
 */
export function useFocusBack(): (event: Event) => void {
  // Before the content is there and takes the focus.
  const [before] = useState(() => lasting(document.activeElement));
  return (event) => {
    event.preventDefault();
    const isFree = document.activeElement === null || document.activeElement === document.body;
    if (isFree && before instanceof HTMLElement) before.focus({ preventScroll: true });
  };
}

/** An entry of a menu is gone when it has been chosen; the menu's button is not. */
function lasting(element: Element | null): Element | null {
  const menu = element?.closest('[role=menu]');
  return menu ? document.getElementById(menu.getAttribute('aria-labelledby') ?? '') : element;
}
