// What went wrong, in words.
import { t } from "./i18n.js";

/** failureText says in the language of the page what a Failure means. */
export function failureText(failure) {
  if (failure.status === 0) return t("unreachable");
  if (failure.status === 429) return t("tooManyTries", { n: failure.wait || 60 });
  return failure.message || t("serverFailed", { status: failure.status });
}
