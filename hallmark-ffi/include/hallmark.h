// Hallmark's verifier for C: does this name still mean these bytes, and do the people I trust say so today?
//
// Written by cbindgen from hallmark-ffi/src: don't edit. How to use it: docs/src/embedding-c.md

#ifndef HALLMARK_H
#define HALLMARK_H

#include <stddef.h>
#include <stdint.h>

// What came of a call: the exit codes of `verify image`. Anything but HALLMARK_VERDICT_TRUSTED means: don't run it.
typedef enum hallmark_verdict {
  // The name means these bytes, and the people whose root was given say so at this time.
  HALLMARK_VERDICT_TRUSTED = 0,
  // A link of the chain is broken. The report says which, what was expected and what came.
  HALLMARK_VERDICT_REFUSED = 1,
  // The call is wrong, and nothing was verified. The report says what was expected.
  HALLMARK_VERDICT_BAD_CALL = 2,
  // It could not be told: unreachable, or something is missing. Nothing is known against the image, and it is not
  // trusted.
  HALLMARK_VERDICT_UNKNOWN = 3,
} hallmark_verdict;

// A metadata document: a file of the trust repository.
typedef struct hallmark_document {
  // The name of the file, such as `timestamp.json` or `7.snapshot.json`: UTF-8, ended by a zero byte.
  const char *name;
  // Its bytes, as they were published.
  const uint8_t *data;
  // How many.
  size_t len;
} hallmark_document;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Verifies what a registry has under a name.
//
// `reference` is the name, such as `registry.example.com/acme/web:1.4`. `options` is a JSON object with the trust
// repository, such as `{"repo": "https://trust.example.com"}`, and other options as listed in docs/src/embedding-c.md.
// Both are UTF-8, ended by a zero byte. `root` is the root file that the owner of the repository gave you, by a way that
// you trust. The environment is not read, but for proxies (`HTTPS_PROXY` and its kin).
//
// If `report` is not null, `*report` is set to the report in JSON, which is yours until hallmark_string_free. It is
// never set to null.
//
// # Safety
//
// `reference` and `options` must be null or strings that are ended by a zero byte; `root` must be null or point to
// `root_len` bytes; `report` must be null or point to a place for a pointer. None of them may be changed by another
// thread meanwhile. The function itself may be called by any number of threads at once.
enum hallmark_verdict hallmark_verify_registry(const char *reference,
                                               const char *options,
                                               const uint8_t *root,
                                               size_t root_len,
                                               char **report);

// Verifies that the bytes of a manifest or index are what a name means, by metadata documents at hand. No server is
// asked, and no file is read but in the folder that `options` may name.
//
// `options` is a JSON object with the time to verify as of, such as `{"at": "2026-01-31T12:00:00Z"}`. `documents` are the
// files of the trust repository, as many as are at hand: the roots after the one that was given, timestamp, snapshot,
// targets and delegated targets. One that is missing makes it HALLMARK_VERDICT_UNKNOWN.
//
// The rest is as for hallmark_verify_registry.
//
// # Safety
//
// As for hallmark_verify_registry; `manifest` must be null or point to `manifest_len` bytes; `documents` must be null or
// point to `documents_len` documents, of each of which `name` must be null or a string that is ended by a zero byte, and
// `data` null or point to `len` bytes.
enum hallmark_verdict hallmark_verify_bytes(const char *reference,
                                            const char *options,
                                            const uint8_t *root,
                                            size_t root_len,
                                            const uint8_t *manifest,
                                            size_t manifest_len,
                                            const struct hallmark_document *documents,
                                            size_t documents_len,
                                            char **report);

// Frees a report. Null is nothing to free.
//
// # Safety
//
// `report` must be null or a report of this library that was not freed yet. Nobody may use it any more.
void hallmark_string_free(char *report);

// The version of this library, such as `0.1.0`: a string that is never freed.
const char *hallmark_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HALLMARK_H */
