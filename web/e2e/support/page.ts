//! The page in words: what a person does and sees, for the tests.

import { mkdirSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';

/** Opens the page in a context of its own, at a session's address if one is named. */
export async function open(browser: Browser, url: string, session?: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(session ? `${url}/#/c/${session}` : url);
  await page.getByTestId('composer').waitFor();
  return page;
}

/** Another tab of the same person. */
export async function openTab(of: Page): Promise<Page> {
  const page = await of.context().newPage();
  await page.goto(of.url());
  await page.getByTestId('composer').waitFor();
  return page;
}

export async function ask(page: Page, question: string): Promise<void> {
  await page.getByTestId('composer').fill(question);
  await page.getByTestId('composer').press('Enter');
}

/** The text of the last answer, as it is shown right now, white space folded. */
export async function lastAnswer(page: Page): Promise<string> {
  const answers = page.getByTestId('message-agent');
  const count = await answers.count();
  if (count === 0) return '';
  return fold(await answers.nth(count - 1).innerText());
}

/** Waits until the page shows so many answers and none of them is being written. */
export async function settled(page: Page, answers: number, timeout = 60_000): Promise<void> {
  await page.waitForFunction(
    (wanted) =>
      document.querySelectorAll('[data-testid=message-agent]').length >= wanted &&
      document.querySelector('[data-testid=stop]') === null,
    answers,
    { timeout },
  );
}

/** What is shown beside the words of all answers: steps, tools, decisions, sources, and the marks that lead to them. */
export async function traces(page: Page): Promise<Record<string, string[]>> {
  const parts = ['steps', 'tool-row', 'approval', 'show-sources', 'citation'];
  const texts = await Promise.all(parts.map((part) => page.getByTestId(part).allInnerTexts()));
  return Object.fromEntries(parts.map((part, index) => [part, (texts[index] ?? []).map(fold)]));
}

/** Waits until the last answer has so many characters or more. */
export async function longEnough(page: Page, characters: number): Promise<void> {
  await page.waitForFunction((wanted) => {
    const answers = document.querySelectorAll<HTMLElement>('[data-testid=message-agent]');
    return (answers[answers.length - 1]?.innerText.length ?? 0) >= wanted;
  }, characters);
}

/** Keeps a picture for people to look at. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = new URL('../../test-results/', import.meta.url).pathname;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}${name}.png` });
}

export function fold(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** How often `part` occurs in `whole`. */
export function occurrences(whole: string, part: string): number {
  return whole.split(part).length - 1;
}
