//! Chromium for the tests and for looking: headless, quiet, from the system.

import { chromium } from 'playwright-core';

/** Starts the browser that `CHROMIUM` names, or the system's own. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage', '--no-first-run'],
  });
}

/** Sizes at which the page is looked at. */
export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };
