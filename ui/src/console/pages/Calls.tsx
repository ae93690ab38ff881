// Calls that were.

export function OwnCalls(_: { onCall: (number: string, name?: string) => void }) {
  return null;
}
