// A failure in words, with its fix, and a button when trying again can help.

import type { Trouble } from "../trouble";

export function TroubleBox({ trouble, onRetry }: { trouble: Trouble; onRetry?: () => void }) {
  return (
    <div class="trouble" role="alert">
      <p>
        <strong>{trouble.what}</strong> {trouble.fix}
      </p>
      {onRetry && trouble.kind !== "insecure" && trouble.kind !== "unsupported" && (
        <button type="button" class="quiet" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}
