//! A question to a person in words: how long there is for it, and who decided.

import type { Approval, Run } from '../conversation/model';

/** Who does what where no keys are set up. */
const LOCAL = 'local';

/** The time that is left: "4:32". Nothing where there is no limit; "0:00" when it is over. */
export function timeLeft(approval: Approval, now: number): string | undefined {
  if (approval.expiresAt === undefined) return undefined;
  const seconds = Math.max(0, Math.ceil((approval.expiresAt - now) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Whether the time for it is over, as far as this page's clock can tell. */
export function isOver(approval: Approval, now: number): boolean {
  return approval.expiresAt !== undefined && approval.expiresAt <= now;
}

/** What became of it, without the tool's name: "Allowed by you", "Nobody decided in time". */
export function outcomeWords({ state, by }: Approval, run: Run): string {
  switch (state) {
    case 'approved':
      return `Allowed${byWhom(by)}`;
    case 'refused':
      return `Refused${byWhom(by)}`;
    case 'expired':
      return run.status === 'stopped' ? 'Not used: the answer was stopped first' : 'Not used: nobody decided in time';
    case 'waiting':
      return 'Waits for a decision';
  }
}

/** Where no keys are set up there is one person, whichever tab it was. */
function byWhom(by: string | undefined): string {
  if (by === undefined) return '';
  return by === LOCAL ? ' by you' : ` by ${by}`;
}

/** Calls that were neither made nor are to be shown as calls: their card says all. */
export function heldBack(run: Run): ReadonlySet<string> {
  const held = run.approvals.filter((approval) => approval.state !== 'approved');
  return new Set(held.map((approval) => approval.callId));
}

/** Arguments exactly as they will be used, laid out to be read. */
export function argumentText(value: unknown): string {
  return JSON.stringify(value ?? {}, null, 2);
}
