#ifndef TALLY_JOURNALD_SHIM_H
#define TALLY_JOURNALD_SHIM_H

#include <stddef.h>
#include <stdint.h>

/* Result codes beside negative errno values. */
enum {
	TALLY_FAULT = -100000,   /* libsystemd was left by a fault; the handle must not be used again, nor closed */
	TALLY_NO_LIBRARY = -100001,
};

struct tally_journal;

/* tally_load opens libsystemd; 0, or TALLY_NO_LIBRARY with the reason in *why. */
int tally_load(const char **why);

/* tally_guard installs the handlers that turn a fault inside libsystemd into TALLY_FAULT. Call it once. */
int tally_guard(void);

/* tally_open opens n files. Reading begins at cursor, or at realtime (µs) where that is not 0, or at the head. */
int tally_open(struct tally_journal **ret, const char **files, const char *cursor, uint64_t realtime);

/* tally_read packs entries into buf until it is full, max entries are in, or there is none left for now. It returns the
 * bytes written; 0 at the end for now. An entry that does not fit is kept for the next call; if it is the first, *need is
 * the size of buffer that would hold it and 0 is returned. */
long tally_read(struct tally_journal *t, unsigned char *buf, size_t cap, int max, size_t max_value, size_t max_entry, size_t *need);

void tally_close(struct tally_journal *t);

/* tally_catalog looks a message id up in the catalog of this machine: a text for the caller to free, NULL where there is none. */
char *tally_catalog(const unsigned char id[16]);

#endif
