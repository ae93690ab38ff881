// Waiting with an end: nothing on the page may hang.

/** Thrown when something took longer than it may. */
export class TimeoutError extends Error {
  override name = "TimeoutError";
}

/** The promise's value, or TimeoutError after `limit_ms`. */
export function within<T>(limit_ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TimeoutError(`took longer than ${limit_ms} ms`)), limit_ms);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
