//! Following the end of a growing conversation, only while the person is at the end.

import { useCallback, useEffect, useRef, useState, type RefObject } from 'react';

/** Pixels from the end that still count as being there. */
const NEAR = 32;

/** Where the person is: at the end, above it, or above it with something new below. */
export type Standing = 'end' | 'above' | 'new';

/** What a following view needs: two refs for its boxes, where the person is, and the way to the end. */
export interface Following {
  readonly box: RefObject<HTMLDivElement | null>;
  readonly content: RefObject<HTMLDivElement | null>;
  readonly standing: Standing;
  toEnd(): void;
}

/** Keeps the end in view while the person is there; scrolling up lets go, coming back takes hold again. */
export function useFollowing(): Following {
  const box = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const [standing, setStanding] = useState<Standing>('end');

  const toEnd = useCallback(() => {
    follows.current = true;
    setStanding('end');
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
        setStanding('end');
      } else if (top < lastTop - 1) {
        follows.current = false;
        setStanding((before) => (before === 'new' ? before : 'above'));
      }
      lastTop = top;
    };
    // What the person opens unfolds below the row that was clicked, which stays where it is.
    let opens = false;
    const onClick = (event: MouseEvent) => {
      if (event.target instanceof Element && event.target.closest('[aria-expanded]')) opens = true;
    };
    const isAway = () => scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop > NEAR;
    // Heights change without a new message too: a picture of the canvas, a rotated phone.
    const sizes = new ResizeObserver(() => {
      const opened = opens;
      opens = false;
      if (opened && isAway()) {
        follows.current = false;
        setStanding((before) => (before === 'end' ? 'above' : before));
      }
      if (follows.current) scroller.scrollTop = scroller.scrollHeight;
      else if (isAway() && !opened) setStanding('new');
    });
    scroller.addEventListener('scroll', onScroll, { passive: true });
    inner.addEventListener('click', onClick);
    sizes.observe(inner);
    sizes.observe(scroller);
    return () => {
      scroller.removeEventListener('scroll', onScroll);
      inner.removeEventListener('click', onClick);
      sizes.disconnect();
    };
  }, []);

  return { box, content, standing, toEnd };
}
