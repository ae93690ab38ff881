// Which page an address is.

import { useEffect } from "preact/hooks";
import { kinds, loadKinds } from "./kinds";
import {
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
  prepareAll,
  QueuesPage,
  RecordingsPage,
  SetupPage,
  SimulatePage,
  StatusPage,
  TrunksPage,
  VoicemailPage,
} from "./pages";
import { LoginPage } from "./pages/Login";
import { closePhone } from "./phone/opening";
import { go, parts, path } from "./route";
import { Shell } from "./Shell";
import { look, may, trouble, you } from "./session";

export function App() {
  const who = you.value;
  useEffect(() => {
    if (who === null) closePhone();
    if (who) loadKinds().then(prepareAll);
  }, [who?.name]);
  useEffect(() => {
    document.title = `${titleOf(path.value)} · Ringback`;
  }, [path.value, kinds.value]);
  if (trouble.value && !who)
    return (
      <main class="login">
        <h1>Ringback</h1>
        <p role="alert">{trouble.value}</p>
        <button type="button" onClick={() => look()}>
          Try again
        </button>
      </main>
    );
  if (who === undefined) return null;
  if (who === null) return <LoginPage />;
  return (
    <Shell>
      <Page />
    </Shell>
  );
}

function titleOf(at: string): string {
  if (at.startsWith("/phone")) return "Phone";
  const [page = "console", kind = ""] = parts(at);
  const known = page === "plan" ? kinds.value.find((one) => one.kind === kind)?.plural : page;
  return (known ?? page).charAt(0).toUpperCase() + (known ?? page).slice(1);
}

function Page() {
  if (path.value.startsWith("/phone")) return <PhonePage />;
  const [page, one, two] = parts(path.value);
  if (page === undefined) return <Home />;
  switch (page) {
    case "people":
      return <PeoplePage id={one} />;
    case "extensions":
      return <ExtensionsPage id={one} />;
    case "trunks":
      return <TrunksPage name={one} />;
    case "plan":
      return <PlanPage kind={one ?? ""} name={two} />;
    case "backups":
      return <BackupsPage />;
    case "meetings":
      return <MeetingsPage id={one} />;
    case "devices":
      return <DevicesPage id={one} />;
    case "logins":
      return <LoginsPage />;
    case "import":
      return <ImportPage />;
    case "calls":
      return <CallsPage id={one} />;
    case "recordings":
      return <RecordingsPage id={one} />;
    case "voicemail":
      return <VoicemailPage />;
    case "queues":
      return <QueuesPage />;
    case "simulate":
      return <SimulatePage />;
    case "history":
      return <HistoryPage kind={one} name={two} />;
    case "setup":
      return <SetupPage />;
    case "status":
      return <StatusPage />;
    case "account":
      return <AccountPage />;
    default:
      return (
        <section class="page">
          <h1>There is nothing here</h1>
          <p>
            <a href="/console">Back to the start</a>
          </p>
        </section>
      );
  }
}

/** Everybody begins where their work is. */
function Home() {
  useEffect(() => go(may("status:read") ? "/console/status" : "/console/account", { replace: true }), []);
  return null;
}
