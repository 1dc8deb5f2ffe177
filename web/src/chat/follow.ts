//! Following the end of a growing conversation, only while the person is at the end.

import { useCallback, useEffect, useRef, useState, type RefObject } from 'react';

/** Pixels from the end that still count as being there. */
const NEAR = 32;

/** What a following view needs: two refs for its boxes, whether something new lies below, and the way there. */
export interface Following {
  readonly box: RefObject<HTMLDivElement | null>;
  readonly content: RefObject<HTMLDivElement | null>;
  readonly newBelow: boolean;
  toEnd(): void;
}

/** Keeps the end in view while the person is there; scrolling up lets go, coming back takes hold again. */
export function useFollowing(): Following {
  const box = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const [newBelow, setNewBelow] = useState(false);

  const toEnd = useCallback(() => {
    follows.current = true;
    setNewBelow(false);
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, []);

  useEffect(() => {
    const scroller = box.current;
    const inner = content.current;
    if (!scroller || !inner) return;
    let lastTop = scroller.scrollTop;
    const onScroll = () => {
      const top = scroller.scrollTop;
      const atEnd = scroller.scrollHeight - scroller.clientHeight - top <= NEAR;
      if (atEnd) {
        follows.current = true;
        setNewBelow(false);
      } else if (top < lastTop - 1) {
        follows.current = false;
      }
      lastTop = top;
    };
    // Heights change without a new message too: an opened tool row, a picture of the canvas, a rotated phone.
    const sizes = new ResizeObserver(() => {
      if (follows.current) scroller.scrollTop = scroller.scrollHeight;
      else if (scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop > NEAR) setNewBelow(true);
    });
    scroller.addEventListener('scroll', onScroll, { passive: true });
    sizes.observe(inner);
    sizes.observe(scroller);
    return () => {
      scroller.removeEventListener('scroll', onScroll);
      sizes.disconnect();
    };
  }, []);

  return { box, content, newBelow, toEnd };
}
