/* SPDX-License-Identifier: BSD-3-Clause */
/* Offers: every one survives its way; nothing else is accepted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xensocket.h>

#include "tap.h"

#define ROUNDS	200000

static uint64_t seed = 88172645463325252ull;

static uint32_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

static struct xsock_offer sample(void)
{
	/* Zeroed for memcmp: there is padding. */
	struct xsock_offer offer;
	size_t i;

	memset(&offer, 0, sizeof(offer));
	offer.domid = (uint16_t)(draw() % 0x7ff0);
	/* Lengths of the numbers, not only their values. */
	offer.gref = draw() >> (draw() % 32);
	offer.port = draw() >> (draw() % 32);
	for (i = 0; i < sizeof(offer.cookie); i++)
		offer.cookie[i] = (uint8_t)draw();
	return offer;
}

static bool same(const struct xsock_offer *a, const struct xsock_offer *b)
{
	return a->domid == b->domid && a->gref == b->gref && a->port == b->port &&
	       !memcmp(a->cookie, b->cookie, sizeof(a->cookie));
}

/* In memory of its own, so that a sanitizer sees a step too far. */
static int parse(const char *text, size_t len, struct xsock_offer *offer)
{
	char *copy = malloc(len + 1);
	int err;

	memcpy(copy, text, len);
	copy[len] = 0;
	err = xsock_offer_parse(copy, offer);
	free(copy);
	return err;
}

static int decode(const uint8_t *bytes, size_t len, struct xsock_offer *offer)
{
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	memcpy(copy, bytes, len);
	err = xsock_offer_decode(copy, len, offer);
	free(copy);
	return err;
}

static void round_trips(void)
{
	int i, bytes_bad = 0, text_bad = 0;

	for (i = 0; i < ROUNDS; i++) {
		struct xsock_offer offer = sample(), back = sample();
		uint8_t bytes[XSOCK_OFFER_SIZE];
		char text[XSOCK_OFFER_TEXT];

		xsock_offer_encode(&offer, bytes);
		bytes_bad += decode(bytes, sizeof(bytes), &back) || !same(&offer, &back);
		back = sample();
		xsock_offer_format(&offer, text);
		text_bad += parse(text, strlen(text), &back) || !same(&offer, &back);
	}
	tap(!bytes_bad, "%d offers as bytes and back", ROUNDS);
	tap(!text_bad, "%d offers as text and back", ROUNDS);
}

/* What is accepted is what the encoder makes of it: there is one form only. */
static void changed_bytes(void)
{
	int i, accepted = 0, other = 0, touched = 0;

	for (i = 0; i < ROUNDS; i++) {
		struct xsock_offer offer = sample(), old = sample(), back;
		uint8_t bytes[XSOCK_OFFER_SIZE], again[XSOCK_OFFER_SIZE];

		memcpy(&back, &old, sizeof(back));
		xsock_offer_encode(&offer, bytes);
		bytes[draw() % sizeof(bytes)] = (uint8_t)draw();
		if (decode(bytes, sizeof(bytes), &back)) {
			touched += !!memcmp(&back, &old, sizeof(back));
			continue;
		}
		accepted++;
		xsock_offer_encode(&back, again);
		other += !!memcmp(bytes, again, sizeof(bytes));
	}
	/* Most bytes are number or cookie. */
	tap(accepted > ROUNDS / 2 && accepted < ROUNDS, "one byte changed: %d of %d accepted",
	    accepted, ROUNDS);
	tap(!other, "... and those as they are");
	tap(!touched, "... and the result untouched by the others");
}

static void changed_text(void)
{
	int i, accepted = 0, other = 0, touched = 0;

	for (i = 0; i < ROUNDS; i++) {
		struct xsock_offer offer = sample(), old = sample(), back;
		char text[XSOCK_OFFER_TEXT], again[XSOCK_OFFER_TEXT];
		static const char near[] = "0123456789abcdefABCDEF:xen -+\n";
		size_t len;

		memcpy(&back, &old, sizeof(back));
		xsock_offer_format(&offer, text);
		len = strlen(text);
		text[draw() % len] = draw() % 2 ? near[draw() % (sizeof(near) - 1)] :
						  (char)draw();
		if (parse(text, strlen(text), &back)) {
			touched += !!memcmp(&back, &old, sizeof(back));
			continue;
		}
		accepted++;
		xsock_offer_format(&back, again);
		other += !!strcmp(text, again);
	}
	tap(accepted > ROUNDS / 100 && accepted < ROUNDS,
	    "one character changed: %d of %d accepted", accepted, ROUNDS);
	tap(!other, "... and those as they are");
	tap(!touched, "... and the result untouched by the others");
}

static void garbage(void)
{
	int i, accepted = 0;

	for (i = 0; i < ROUNDS; i++) {
		uint8_t bytes[100] = { 0 };
		struct xsock_offer offer;
		size_t k, len = draw() % sizeof(bytes);

		for (k = 0; k < len; k++)
			bytes[k] = (uint8_t)draw();
		/* Something of the right beginning, often. */
		if (len > 4 && draw() % 2)
			memcpy(bytes, "XSO\1", 4);
		accepted += len != XSOCK_OFFER_SIZE && !decode(bytes, len, &offer);
		if (len > 5 && draw() % 2)
			memcpy(bytes, "xen1:", 5);
		accepted += !parse((char *)bytes, len, &offer);
	}
	tap(!accepted, "garbage is not accepted");
}

static void lengths(void)
{
	struct xsock_offer offer = sample(), back;
	uint8_t bytes[XSOCK_OFFER_SIZE + 8] = { 0 };
	char text[XSOCK_OFFER_TEXT + 8];
	size_t len, full;
	int bad = 0;

	xsock_offer_encode(&offer, bytes);
	for (len = 0; len <= sizeof(bytes); len++)
		bad += (decode(bytes, len, &back) == 0) != (len == XSOCK_OFFER_SIZE);
	tap(!bad, "bytes: every other length is refused");
	xsock_offer_format(&offer, text);
	full = strlen(text);
	text[full] = '0';
	text[full + 1] = '0';
	for (len = 0, bad = 0; len <= full + 2; len++)
		bad += (parse(text, len, &back) == 0) != (len == full);
	tap(!bad, "text: every other length is refused");
}

static void chosen(void)
{
#define COOKIE "00112233445566778899aabbccddeeff"
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{ "xen1:1:2:3:" COOKIE, 0 },
		{ "xen1:0:0:0:" COOKIE, 0 },
		{ "xen1:32751:4294967295:4294967295:" COOKIE, 0 },
		{ "xen1:32752:2:3:" COOKIE, -EBADMSG },
		{ "xen1:65535:2:3:" COOKIE, -EBADMSG },
		{ "xen1:65537:2:3:" COOKIE, -EBADMSG },
		{ "xen1:1:4294967296:3:" COOKIE, -EBADMSG },
		{ "xen1:1:2:99999999999999999999999999:" COOKIE, -EBADMSG },
		{ "xen1:01:2:3:" COOKIE, -EBADMSG },
		{ "xen1:1:00:3:" COOKIE, -EBADMSG },
		{ "xen1:-1:2:3:" COOKIE, -EBADMSG },
		{ "xen1:+1:2:3:" COOKIE, -EBADMSG },
		{ "xen1: 1:2:3:" COOKIE, -EBADMSG },
		{ " xen1:1:2:3:" COOKIE, -EBADMSG },
		{ "xen1:1:2:3:" COOKIE " ", -EBADMSG },
		{ "xen1:1:2:3:" COOKIE "\n", -EBADMSG },
		{ "xen1:1:2:3:00112233445566778899AABBCCDDEEFF", -EBADMSG },
		{ "xen1:1:2:3:0x112233445566778899aabbccddeeff", -EBADMSG },
		{ "xen1:1:2::" COOKIE, -EBADMSG },
		{ "xen1:1:2:" COOKIE, -EBADMSG },
		{ "xen1", -EBADMSG },
		{ "xen:1:2:3:" COOKIE, -EBADMSG },
		{ "xen01:1:2:3:" COOKIE, -EBADMSG },
		{ "xen2:1:2:3:" COOKIE, -XSOCK_EVERSION },
		{ "xen0:", -XSOCK_EVERSION },
		{ "xen4294967297:1:2:3:" COOKIE, -EBADMSG },
		{ "", -EBADMSG },
	};
	struct xsock_offer offer = { .domid = 0x7fef, .gref = UINT32_MAX,
				     .port = UINT32_MAX };
	uint8_t bytes[XSOCK_OFFER_SIZE];
	char text[XSOCK_OFFER_TEXT];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err = parse(cases[i].text, strlen(cases[i].text), &offer);

		tap(err == cases[i].err, "'%s': %s", cases[i].text[0] ? "text" : "",
		    xsock_strerror(err));
		if (err != cases[i].err)
			printf("# %s: %d\n", cases[i].text, err);
	}
	xsock_offer_parse(cases[2].text, &offer);
	memset(offer.cookie, 0xff, sizeof(offer.cookie));
	xsock_offer_format(&offer, text);
	tap(strlen(text) + 1 <= XSOCK_OFFER_TEXT && !strncmp(text + strlen(text) - 4, "ffff", 4),
	    "the longest text fits: %zu", strlen(text));

	/* The layout is what Documentation/ says, not only what comes back. */
	xsock_offer_parse("xen1:258:16909060:84281096:" COOKIE, &offer);
	xsock_offer_encode(&offer, bytes);
	tap(!memcmp(bytes, "XSO\1\2\1\0\0\4\3\2\1\10\7\6\5\x00\x11\x22\x33\x44\x55\x66\x77"
		    "\x88\x99\xaa\xbb\xcc\xdd\xee\xff", sizeof(bytes)), "layout of the bytes");
	bytes[3] = 2;
	tap(xsock_offer_decode(bytes, sizeof(bytes), &offer) == -XSOCK_EVERSION,
	    "another version");
	tap(xsock_offer_decode(bytes, 4, &offer) == -XSOCK_EVERSION,
	    "another version, of another length");
}

static void texts(void)
{
	int code, bad = 0;

	for (code = XSOCK_ENOTONEHOST; code <= XSOCK_EPEERFAILED; code++)
		bad += !strcmp(xsock_strerror(code), "Unknown error") ||
		       strcmp(xsock_strerror(code), xsock_strerror(-code));
	tap(!bad, "each own code has a text");
	tap(!strcmp(xsock_strerror(0), "Success") &&
	    !strcmp(xsock_strerror(-EPERM), "Operation not permitted") &&
	    !strcmp(xsock_strerror(4000), "Unknown error") &&
	    xsock_strerror(-2147483647 - 1) && xsock_strerror(2147483647),
	    "texts of other codes");
}

int main(void)
{
	round_trips();
	changed_bytes();
	changed_text();
	garbage();
	lengths();
	chosen();
	texts();
	return tap_done();
}
