//! Signs that it is worth trying again at once: the network is back, or somebody looks at the page.

/** Calls the function at each sign, until the function that comes back is called. */
export type Wake = (awake: () => void) => () => void;

/** The platform's signs; elsewhere than in a page there are none. */
export const pageWake: Wake = (awake) => {
  const page = globalThis as { addEventListener?: typeof addEventListener; removeEventListener?: typeof removeEventListener; document?: Document };
  const { document } = page;
  const seen = (): void => {
    if (document?.visibilityState === "visible") awake();
  };
  page.addEventListener?.("online", awake);
  document?.addEventListener("visibilitychange", seen);
  return () => {
    page.removeEventListener?.("online", awake);
    document?.removeEventListener("visibilitychange", seen);
  };
};
