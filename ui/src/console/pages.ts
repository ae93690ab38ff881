// All pages, none of which is loaded before it is needed; and which one an address needs.

import { lazy } from "./lazy";
import { parts } from "./route";

export const AccountPage = lazy(() => import("./pages/Account").then((found) => found.AccountPage));
export const BackupsPage = lazy(() => import("./pages/Backups").then((found) => found.BackupsPage));
export const CallsPage = lazy(() => import("./pages/Calls").then((found) => found.CallsPage));
export const DevicesPage = lazy(() => import("./pages/Devices").then((found) => found.DevicesPage));
export const ExtensionsPage = lazy(() => import("./pages/Extensions").then((found) => found.ExtensionsPage));
export const HistoryPage = lazy(() => import("./pages/History").then((found) => found.HistoryPage));
export const ImportPage = lazy(() => import("./pages/Import").then((found) => found.ImportPage));
export const LoginsPage = lazy(() => import("./pages/Logins").then((found) => found.LoginsPage));
export const MeetingsPage = lazy(() => import("./pages/Meetings").then((found) => found.MeetingsPage));
export const PeoplePage = lazy(() => import("./pages/People").then((found) => found.PeoplePage));
export const PhonePage = lazy(() => import("./pages/Phone").then((found) => found.PhonePage));
export const PlanPage = lazy(() => import("./pages/Plan").then((found) => found.PlanPage));
export const QueuesPage = lazy(() => import("./pages/Queues").then((found) => found.QueuesPage));
export const RecordingsPage = lazy(() => import("./pages/Recordings").then((found) => found.RecordingsPage));
export const SetupPage = lazy(() => import("./pages/Setup").then((found) => found.SetupPage));
export const SimulatePage = lazy(() => import("./pages/Simulate").then((found) => found.SimulatePage));
export const StatusPage = lazy(() => import("./pages/Status").then((found) => found.StatusPage));
export const TrunksPage = lazy(() => import("./pages/Trunks").then((found) => found.TrunksPage));
export const VoicemailPage = lazy(() => import("./pages/Voicemail").then((found) => found.VoicemailPage));

const ALL = [
  AccountPage,
  BackupsPage,
  CallsPage,
  DevicesPage,
  ExtensionsPage,
  HistoryPage,
  ImportPage,
  LoginsPage,
  MeetingsPage,
  PeoplePage,
  PhonePage,
  PlanPage,
  QueuesPage,
  RecordingsPage,
  SetupPage,
  SimulatePage,
  StatusPage,
  TrunksPage,
  VoicemailPage,
];

const BY_PART: Record<string, { load: () => Promise<unknown> }> = {
  account: AccountPage,
  backups: BackupsPage,
  calls: CallsPage,
  devices: DevicesPage,
  extensions: ExtensionsPage,
  history: HistoryPage,
  import: ImportPage,
  logins: LoginsPage,
  meetings: MeetingsPage,
  people: PeoplePage,
  plan: PlanPage,
  queues: QueuesPage,
  recordings: RecordingsPage,
  setup: SetupPage,
  simulate: SimulatePage,
  status: StatusPage,
  trunks: TrunksPage,
  voicemail: VoicemailPage,
};

/** Load what an address shows, while it is still asked who is there. */
export function prepare(at: string): void {
  const [part = "status"] = parts(at);
  const page = at.startsWith("/phone") ? PhonePage : BY_PART[part];
  page?.load().catch(() => undefined);
}

/** Not every browser says when it has nothing to do. */
function whenIdle(then: () => void): void {
  if ("requestIdleCallback" in window) requestIdleCallback(then, { timeout: 5_000 });
  else setTimeout(then, 300);
}

/** Load all others one after the other: they open at once, and when the server is another version later. */
export async function prepareAll(): Promise<void> {
  for (const page of ALL) {
    await new Promise<void>((then) => whenIdle(then));
    await page.load().catch(() => undefined);
  }
}
