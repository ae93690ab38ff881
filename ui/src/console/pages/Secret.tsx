// A field for a password or a code, with what is wrong with it.

export function Secret({
  name,
  title,
  error,
  autocomplete,
  plain = false,
}: {
  name: string;
  title: string;
  error: string | undefined;
  autocomplete: "current-password" | "new-password" | "one-time-code";
  /** Whether it may be read while it is typed. */
  plain?: boolean;
}) {
  const props = {
    id: `field-${name}`,
    name,
    autocomplete,
    "aria-invalid": Boolean(error),
    "aria-describedby": error ? `field-${name}-error` : undefined,
    required: true,
  };
  return (
    <div class={`field ${error ? "has-error" : ""}`}>
      <label for={`field-${name}`}>{title}</label>
      {plain ? <input {...props} type="text" /> : <input {...props} type="password" />}
      {error && (
        <p class="wrong" id={`field-${name}-error`} role="alert">
          {error}
        </p>
      )}
    </div>
  );
}
