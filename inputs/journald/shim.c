#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-journal.h>

/* libsystemd is opened at run time, so that the agent starts on machines that have none. */
static struct {
	__typeof__(&sd_journal_open_files) open_files;
	__typeof__(&sd_journal_close) close;
	__typeof__(&sd_journal_next) next;
	__typeof__(&sd_journal_seek_head) seek_head;
	__typeof__(&sd_journal_seek_cursor) seek_cursor;
	__typeof__(&sd_journal_seek_realtime_usec) seek_realtime;
	__typeof__(&sd_journal_get_cursor) get_cursor;
	__typeof__(&sd_journal_set_data_threshold) set_data_threshold;
	__typeof__(&sd_journal_restart_data) restart_data;
	__typeof__(&sd_journal_enumerate_data) enumerate_data;
	__typeof__(&sd_journal_get_catalog_for_message_id) catalog; /* may be absent */
} sd;

int tally_load(const char **why) {
	void *lib = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		*why = dlerror();
		return TALLY_NO_LIBRARY;
	}
#define LOAD(field, name)                                  \
	if (!(sd.field = (__typeof__(sd.field))dlsym(lib, name))) { \
		*why = dlerror();                          \
		return TALLY_NO_LIBRARY;                   \
	}
	LOAD(open_files, "sd_journal_open_files")
	LOAD(close, "sd_journal_close")
	LOAD(next, "sd_journal_next")
	LOAD(seek_head, "sd_journal_seek_head")
	LOAD(seek_cursor, "sd_journal_seek_cursor")
	LOAD(seek_realtime, "sd_journal_seek_realtime_usec")
	LOAD(get_cursor, "sd_journal_get_cursor")
	LOAD(set_data_threshold, "sd_journal_set_data_threshold")
	LOAD(restart_data, "sd_journal_restart_data")
	/* Since systemd 246 this one skips fields that cannot be read (an unknown compression); the older fails. */
	sd.enumerate_data = (__typeof__(sd.enumerate_data))dlsym(lib, "sd_journal_enumerate_available_data");
	if (!sd.enumerate_data) {
		LOAD(enumerate_data, "sd_journal_enumerate_data")
	}
#undef LOAD
	sd.catalog = (__typeof__(sd.catalog))dlsym(lib, "sd_journal_get_catalog_for_message_id");
	return 0;
}

/* A file that is truncated while it is mapped raises SIGBUS at the next access, a damaged one may lead libsystemd to a wild
 * address or to a failed assertion. The handlers jump out of libsystemd when the thread is inside it, and hand on every
 * other signal to whoever had it before: the Go runtime. */
static __thread sigjmp_buf escape;
static __thread volatile sig_atomic_t inside;
static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGABRT};
static struct sigaction before[sizeof faults / sizeof *faults];

static void on_fault(int sig, siginfo_t *info, void *context) {
	if (inside) {
		inside = 0;
		siglongjmp(escape, 1);
	}
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		if (faults[i] != sig)
			continue;
		if (before[i].sa_flags & SA_SIGINFO && before[i].sa_sigaction) {
			before[i].sa_sigaction(sig, info, context);
			return;
		}
		if (before[i].sa_handler == SIG_IGN)
			return;
		if (before[i].sa_handler != SIG_DFL) {
			before[i].sa_handler(sig);
			return;
		}
		signal(sig, SIG_DFL);
		raise(sig);
	}
}

int tally_guard(void) {
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		struct sigaction a;
		if (sigaction(faults[i], NULL, &before[i]) < 0)
			return -errno;
		memset(&a, 0, sizeof a);
		a.sa_sigaction = on_fault;
		a.sa_mask = before[i].sa_mask;
		/* The Go runtime asks for SA_ONSTACK of whoever takes its signals. */
		a.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
		if (sigaction(faults[i], &a, NULL) < 0)
			return -errno;
	}
	return 0;
}

#define GUARDED(failed)                    \
	if (sigsetjmp(escape, 1)) {        \
		failed;                    \
		return TALLY_FAULT;        \
	}                                  \
	inside = 1;                        \
	__asm__ volatile("" ::: "memory")
#define UNGUARDED                         \
	__asm__ volatile("" ::: "memory"); \
	inside = 0

struct tally_journal {
	sd_journal *j;
	int held;    /* the entry under the cursor was not delivered yet */
	int failed;  /* an error to return once what was packed before it is delivered */
	int broken;  /* left by a fault: leaked on close, for its state is not known */
};

static int open_guarded(struct tally_journal *t, const char **files, const char *cursor, uint64_t realtime) {
	int r;
	GUARDED(t->broken = 1);
	r = sd.open_files(&t->j, files, 0);
	if (r >= 0) {
		if (cursor)
			r = sd.seek_cursor(t->j, cursor);
		else if (realtime)
			r = sd.seek_realtime(t->j, realtime);
		else
			r = sd.seek_head(t->j);
	}
	UNGUARDED;
	return r;
}

int tally_open(struct tally_journal **ret, const char **files, const char *cursor, uint64_t realtime) {
	struct tally_journal *t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	int r = open_guarded(t, files, cursor, realtime);
	if (r < 0) {
		tally_close(t);
		return r;
	}
	*ret = t;
	return 0;
}

static void put32(unsigned char *p, uint32_t v) {
	v = htole32(v);
	memcpy(p, &v, 4);
}

static void put64(unsigned char *p, uint64_t v) {
	v = htole64(v);
	memcpy(p, &v, 8);
}

static int digit(char c) {
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* put_cursor takes the cursor apart into the head of a packed entry. */
static int put_cursor(unsigned char *p, const char *s) {
	while (*s) {
		char name = *s;
		if (s[1] != '=')
			return -EBADMSG;
		s += 2;
		if (name == 's' || name == 'b') {
			unsigned char *to = p + (name == 's' ? 40 : 56);
			for (int i = 0; i < 16; i++, s += 2) {
				int h = digit(s[0]), l = h < 0 ? -1 : digit(s[1]);
				if (l < 0)
					return -EBADMSG;
				to[i] = h << 4 | l;
			}
		} else {
			uint64_t v = 0;
			for (int d; (d = digit(*s)) >= 0; s++)
				v = v << 4 | d;
			if (name == 'i')
				put64(p + 8, v);
			else if (name == 't')
				put64(p + 16, v);
			else if (name == 'm')
				put64(p + 24, v);
			else if (name == 'x')
				put64(p + 32, v);
		}
		if (*s == ';')
			s++;
		else if (*s)
			return -EBADMSG;
	}
	return 0;
}

enum { HEAD = 4 + 4 + 4 * 8 + 2 * 16 + 4 };

/* pack_entry writes the entry under the cursor; the bytes used, 0 if cap is too small (*need says what would do). */
static long pack_entry(sd_journal *j, unsigned char *p, size_t cap, size_t max_value, size_t max_entry, size_t *need) {
	char *cursor = NULL;
	const void *data;
	size_t len, o = HEAD;
	uint32_t fields = 0, flags = 0;
	int r;

	*need = HEAD;
	if (cap < HEAD)
		return 0;
	if ((r = sd.get_cursor(j, &cursor)) < 0)
		return r;
	memset(p, 0, HEAD);
	r = put_cursor(p, cursor);
	free(cursor);
	if (r < 0)
		return r;
	sd.restart_data(j);
	while ((r = sd.enumerate_data(j, &data, &len)) > 0) {
		const char *eq = memchr(data, '=', len);
		size_t limit = (eq ? (size_t)(eq - (const char *)data) + 1 : 0) + max_value;
		if (len > limit) {
			len = limit;
			flags |= 1;
		}
		if (o + 4 + len > max_entry) {
			flags |= 1;
			continue;
		}
		if (o + 4 + len <= cap) {
			put32(p + o, len);
			memcpy(p + o + 4, data, len);
		}
		o += 4 + len;
		fields++;
	}
	if (r < 0)
		return r;
	*need = o;
	if (o > cap)
		return 0;
	put32(p, o - 4);
	put32(p + 4, flags);
	put32(p + 72, fields);
	return (long)o;
}

long tally_read(struct tally_journal *t, unsigned char *buf, size_t cap, int max, size_t max_value, size_t max_entry, size_t *need) {
	volatile size_t o = 0;
	volatile int n = 0;
	long r = 0;

	*need = 0;
	if (t->broken)
		return TALLY_FAULT;
	if (t->failed) {
		r = t->failed;
		t->failed = 0;
		return r;
	}
	/* What was packed before the fault is whole and is delivered first. */
	if (sigsetjmp(escape, 1)) {
		t->broken = 1;
		return o > 0 ? (long)o : TALLY_FAULT;
	}
	inside = 1;
	__asm__ volatile("" ::: "memory");
	/* Compressed fields are unpacked up to this size, which leaves room for the name, and no further. */
	sd.set_data_threshold(t->j, max_value + 1024);
	while (n < max) {
		if (!t->held) {
			r = sd.next(t->j);
			if (r <= 0)
				break;
			t->held = 1;
		}
		size_t want;
		r = pack_entry(t->j, buf + o, cap - o, max_value, max_entry, &want);
		if (r == 0) {
			if (o == 0)
				*need = want;
			break;
		}
		t->held = 0; /* an entry that cannot be read is passed over; its number is missed by the caller */
		if (r < 0) {
			if (r == -EBADMSG || r == -EADDRNOTAVAIL || r == -EPROTONOSUPPORT || r == -E2BIG || r == -ENOENT || r == -EIO) {
				r = 0;
				continue;
			}
			break;
		}
		o += r;
		n++;
	}
	UNGUARDED;
	if (r < 0 && o > 0) {
		t->failed = (int)r;
		r = 0;
	}
	return r < 0 ? r : (long)o;
}

static void close_guarded(struct tally_journal *t) {
	if (sigsetjmp(escape, 1))
		return;
	inside = 1;
	__asm__ volatile("" ::: "memory");
	sd.close(t->j);
	UNGUARDED;
}

void tally_close(struct tally_journal *t) {
	if (t->j && !t->broken)
		close_guarded(t);
	free(t);
}

char *tally_catalog(const unsigned char id[16]) {
	char *text = NULL;
	sd_id128_t message;
	memcpy(&message, id, sizeof message);
	return sd.catalog && sd.catalog(message, &text) >= 0 ? text : NULL;
}
